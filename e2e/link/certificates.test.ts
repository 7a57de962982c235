import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { askForCertificate } from '../../agent/session/channel.ts'
import { NodeCertificate } from '../../agent/session/node-certificate.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { readCertificate } from '../../lib/certificate.ts'
import { systemClock } from '../../lib/clock.ts'
import { type Log, silentLog } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { systemRandom } from '../../lib/random.ts'
import { type Bed, createBed, eventually } from './testbed.ts'

const deps = { clock: systemClock, random: systemRandom, log: silentLog }
const { signal } = new AbortController()

/** A node's folder with a certificate of `lifeMs`, and what renews it. */
async function nodeWith(
  bed: Bed,
  { lifeMs, log = silentLog, onRenewed = () => undefined }: { lifeMs: number; log?: Log; onRenewed?: () => void },
) {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-node-cert-'))
  onTestFinished(async () => await rm(folder, { recursive: true, force: true }))
  const { cert, key } = await bed.authority.issue({
    commonName: 'system:node:a',
    organizations: ['system:nodes'],
    usages: ['client'],
    lifeMs,
  })
  await writeFile(join(folder, 'ca.crt'), bed.authority.cert)
  await writeFile(join(folder, 'node.pem'), `${cert}${key}`)
  const certificate = new NodeCertificate({
    ...deps,
    log,
    folder,
    addresses: ['127.0.0.1:1', bed.address],
    ask: (address, tls, csrPem, opts) =>
      askForCertificate({ address, tls, serverName: 'localhost' }, csrPem, { ...opts, ...deps }),
    onRenewed,
    metrics: createMetrics('skiff_'),
  })
  const stop = new AbortController()
  const running = certificate.run(stop.signal)
  onTestFinished(async () => {
    stop.abort()
    await running
  })
  return { certificate, pem: () => readFile(join(folder, 'node.pem'), 'utf8'), file: join(folder, 'node.pem') }
}

test('a node renews its certificate before it ends, with a new key, and meets the control plane with it', async () => {
  await using bed = await createBed()
  let reconnect: (why: string) => void = () => undefined
  const node = await nodeWith(bed, { lifeMs: 4000, onRenewed: () => reconnect('the certificate was renewed') })
  const before = await node.pem()
  const agent = await bed.agent('a', { tls: () => node.certificate.read() })
  reconnect = (why) => agent.session.reconnect(why)
  await eventually(() => expect(bed.gateway.nodeCertificates).toEqual([{ node: 'a', endMs: readCertificate(before).endMs }]))
  await eventually(async () =>
    expect(readCertificate(await node.pem()).endMs).toBeGreaterThan(systemClock.now() + 300 * 86_400_000),
  )
  const after = await node.pem()
  expect(systemClock.now()).toBeLessThan(readCertificate(before).endMs)
  expect(after.split('-----BEGIN PRIVATE KEY-----')[1]).not.toBe(before.split('-----BEGIN PRIVATE KEY-----')[1])
  expect((await stat(node.file)).mode & 0o777).toBe(0o600)
  await eventually(() => expect(bed.gateway.nodeCertificates).toEqual([{ node: 'a', endMs: readCertificate(after).endMs }]))
})

test('a control plane can ask its nodes to renew their certificates', async () => {
  await using bed = await createBed()
  const node = await nodeWith(bed, { lifeMs: 3_600_000 })
  const before = await node.pem()
  const agent = await bed.agent('a', { tls: () => node.certificate.read(), renewCertificate: () => node.certificate.renew() })
  await eventually(() => expect(agent.session.isConnected).toBe(true))
  bed.gateway.renewNodeCertificates()
  await eventually(async () => expect(await node.pem()).not.toBe(before))
})

test('a node whose certificate has ended says so, and takes up a new one that is put there', async () => {
  await using bed = await createBed()
  const said: unknown[] = []
  const log: Log = { ...silentLog, warn: (_message, fields) => void said.push(String(fields?.['err'])) }
  const node = await nodeWith(bed, { lifeMs: -1000 })
  const agent = await bed.agent('a', { tls: () => node.certificate.read(), log })
  await eventually(() => expect(said.join('\n')).toMatch(/the certificate of this node ended at .*issue-node-cert/))
  expect(agent.session.isConnected).toBe(false)
  const { cert, key } = await bed.authority.issue({
    commonName: 'system:node:a',
    organizations: ['system:nodes'],
    usages: ['client'],
  })
  await writeFile(node.file, `${cert}${key}`)
  await eventually(() => expect(agent.session.isConnected).toBe(true))
})

test('nobody but a node gets a certificate, and a node only its own', async () => {
  await using bed = await createBed()
  const ask = async (commonName: string, csrPem: string) => {
    const pair = await bed.authority.issue({ commonName, usages: ['client'] })
    const peer = { address: bed.address, tls: { ca: bed.authority.cert, ...pair }, serverName: 'localhost' }
    return await askForCertificate(peer, csrPem, { clock: systemClock, signal })
  }
  await expect(ask('skiff-admin', 'x')).rejects.toThrow(/not that of a node/)
  await expect(ask('system:node:a', 'nonsense')).rejects.toThrow(/cannot sign the request of node "a"/)
  await expect(ask('system:node:a', 'x'.repeat(20_000))).rejects.toThrow(/at most 16384 bytes/)
})

test("the gateway's certificate is exchanged while its sessions go on", async () => {
  await using bed = await createBed()
  const agent = await bed.agent('a')
  await eventually(() => expect(agent.session.isConnected).toBe(true))
  const other = await bed.authority.issue({
    commonName: 'second',
    usages: ['server'],
    dnsNames: ['localhost'],
    ips: ['127.0.0.1'],
  })
  bed.credentials.renew({ ca: bed.authority.cert, ...other })
  expect(await shownName(bed)).toBe('second')
  expect(agent.session.isConnected).toBe(true)
  const next = await bed.agent('b')
  await eventually(() => expect(next.session.isConnected).toBe(true))
  expect(bed.gateway.nodes).toEqual(['a', 'b'])
})

/** The common name in the certificate that a new connection is shown. */
async function shownName(bed: Bed): Promise<string | undefined> {
  const [host = '', port = ''] = bed.address.split(':')
  const pair = await bed.authority.issue({ commonName: 'system:node:b', usages: ['client'] })
  const tls = { ca: bed.authority.cert, servername: 'localhost', ALPNProtocols: ['h2'], ...pair }
  const socket = connect({ host, port: Number(port), ...tls })
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(3000) })
    return [socket.getPeerCertificate().subject.CN].flat()[0]
  } finally {
    socket.destroy()
  }
}

test('an agent that has obeyed a higher epoch obeys a restored control plane, and stops nothing that it does not list', async () => {
  await using bed = await createBed()
  await bed.restart({ incarnation: () => 'first' })
  const old = await bed.pod('old', 'a')
  const first = await bed.agent('a', {})
  await eventually(() => expect(first.desired.pods()).toHaveLength(1))
  await first.stop()
  // The pod was made after the backup: the restored store has never heard of it.
  await bed.world.client.delete(Pod, { namespace: 'default', name: 'old' }, { signal, gracePeriodSeconds: 0 })
  let epoch = 2
  await bed.restart({
    epoch: () => epoch,
    incarnation: () => 'restored',
    liftEpoch: async (above) => {
      epoch = Number(above) + 1
    },
  })
  const again = await bed.agent('a', { folder: first.folder })
  await eventually(() => expect(again.desired.position).toMatchObject({ epoch: 4n, incarnation: 'restored' }))
  await eventually(() => expect(again.desired.position.revision).toBeDefined())
  expect(again.desired.pods().map(({ metadata }) => metadata.uid)).toEqual([old.metadata.uid])
  expect(again.desired.isRemoved(old.metadata.uid ?? '')).toBe(false)
})
