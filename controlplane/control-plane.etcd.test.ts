import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { Secret } from '../api/kinds/secret.ts'
import { type HttpsTransport, httpsTransport } from '../client/https-transport.ts'
import { parseKubeconfig } from '../client/kubeconfig.ts'
import { createClient } from '../client/typed-client.ts'
import { readCertificate } from '../lib/certificate.ts'
import { systemClock } from '../lib/clock.ts'
import { type Log, silentLog } from '../lib/log.ts'
import { createMetrics } from '../lib/metrics.ts'
import { readOptions } from '../lib/options.ts'
import { systemRandom } from '../lib/random.ts'
import { runControlPlane } from './controlplane.ts'
import { options } from './options.ts'
import { nodeIssuer } from './pki/pki.ts'
import { KeyringFile } from './store/keyring.ts'
import { etcdBinary, freePort } from './testing/etcd.ts'

// A whole control plane with an etcd of its own, whose certificates live for a few seconds only.
const lifeSeconds = 10
const stop = new AbortController()
const { signal } = new AbortController()
const transports: HttpsTransport[] = []
const troubles: string[] = []
let folder = ''
let ports = { api: 0, gateway: 0, etcd: 0 }
let ended: Promise<void> | undefined

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skiff-controlplane-'))
  ports = { api: await freePort(), gateway: await freePort(), etcd: await freePort() }
  const argv = [
    ...['--data-dir', folder, '--bind-address', '127.0.0.1', '--etcd-binary', etcdBinary],
    ...['--api-port', String(ports.api), '--gateway-port', String(ports.gateway), '--etcd-port', String(ports.etcd)],
    ...['--certificate-life', `${lifeSeconds}s`],
  ]
  const log: Log = { ...silentLog, error: (message, fields) => void troubles.push(`${message} ${String(fields?.['err'])}`) }
  const deps = { clock: systemClock, random: systemRandom, log, metrics: createMetrics('skiff_') }
  ended = runControlPlane(readOptions('SKIFF_TEST', options, { argv, env: {} }), deps, stop.signal)
  await vi.waitFor(async () => expect(await ready()).toBe('ok'), { timeout: 40_000, interval: 200 })
})
afterAll(async () => {
  for (const transport of transports) transport.close()
  stop.abort(new Error('the tests are over'))
  await ended
  await rm(folder, { recursive: true, force: true })
})

const pem = (name: string): Promise<string> => readFile(join(folder, 'pki', name), 'utf8')

/** As somebody who reads the kubeconfig now. */
async function visitor(): Promise<HttpsTransport> {
  const file = join(folder, 'pki', 'admin.kubeconfig')
  const transport = httpsTransport({ ...parseKubeconfig(await readFile(file, 'utf8'), { file }), clock: systemClock })
  transports.push(transport)
  return transport
}

const ready = async (): Promise<unknown> =>
  await visitor()
    .then((transport) => transport.get('/readyz', { signal }))
    .catch((err: unknown) => String(err))

/** When the certificate ends that a new connection to `port` is shown. */
async function shownEndMs(port: number, pair: string, authority: string): Promise<number> {
  const tls = { ca: await pem(`${authority}.crt`), cert: await pem(`${pair}.crt`), key: await pem(`${pair}.key`) }
  return await new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ALPNProtocols: ['h2'], ...tls }, () => {
      resolve(Date.parse(socket.getPeerCertificate().valid_to))
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

const secretNamed = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: 'default' },
  data: { password: Buffer.from(name).toString('base64') },
})

test('everything goes on past the end of every certificate that it began with', async () => {
  const lasting = await visitor()
  await lasting.get('/readyz', { signal })
  const first = readCertificate(await pem('apiserver.crt'))
  await expect.poll(() => systemClock.now(), { timeout: 30_000, interval: 200 }).toBeGreaterThan(first.endMs + 1000)
  for (const [port, authority, pair] of [
    [ports.api, 'cluster-ca', 'admin'],
    [ports.gateway, 'cluster-ca', 'admin'],
    [ports.etcd, 'etcd-ca', 'etcd-client'],
  ] as const)
    expect([pair, (await shownEndMs(port, pair, authority)) > systemClock.now()]).toEqual([pair, true])
  // A connection of before goes on, a new one is let in, and both reach etcd.
  for (const transport of [lasting, await visitor()]) {
    const name = `after-${transports.indexOf(transport)}`
    await createClient(transport).create(Secret, secretNamed(name), { signal })
  }
  expect(troubles).toEqual([])
})

test('an administrator can see and rotate the certificates', async () => {
  const transport = await visitor()
  const before = await pem('gateway.crt')
  const answer = await transport.post('/skiff/v1/certificates/rotate', undefined, { signal })
  const names = (answer as { certificates: readonly { name: string }[] }).certificates.map(({ name }) => name)
  expect(names).toEqual(
    expect.arrayContaining(['cluster-ca', 'etcd-ca', 'apiserver', 'gateway', 'etcd-server', 'etcd-client', 'admin']),
  )
  expect(await pem('gateway.crt')).not.toBe(before)
  expect(await (await visitor()).get('/skiff/v1/certificates', { signal })).toHaveProperty('certificates')
})

test('secrets are encrypted with a new key while they are read and written, and old keys can be forgotten', async () => {
  const transport = await visitor()
  const client = createClient(transport)
  const open = () => KeyringFile.open(join(folder, 'pki', 'encryption.json'), { random: systemRandom, log: silentLog })
  for (let index = 0; index < 20; index++) await client.create(Secret, secretNamed(`s${index}`), { signal })
  const old = await open()
  const path = '/skiff/v1/secrets/rewrite'
  await expect(transport.post(path, { forgetAll: true }, { signal })).rejects.toThrow(/forgetAll: unknown field/)
  const started = await transport.post(path, { newKey: true, forgetOld: true }, { signal })
  expect(started).toMatchObject({ state: 'running' })
  await expect(transport.post(path, {}, { signal })).rejects.toThrow(/being rewritten already/)
  for (let index = 20; index < 25; index++) await client.create(Secret, secretNamed(`s${index}`), { signal })
  await expect
    .poll(() => transport.get(path, { signal }), { timeout: 30_000 })
    .toMatchObject({ state: 'done', unreadable: [], keys: 1 })
  const fresh = await open()
  expect(fresh.newest.id).not.toBe(old.newest.id)
  expect(fresh.find(old.newest.id)).toBeUndefined()
  for (let index = 0; index < 25; index++) {
    const { data } = await client.get(Secret, { namespace: 'default', name: `s${index}` }, { signal })
    expect(Buffer.from(data?.['password'] ?? '', 'base64').toString()).toBe(`s${index}`)
  }
  expect(troubles).toEqual([])
})

test('nobody but an administrator may', async () => {
  const authority = await pem('cluster-ca.crt')
  const node = await (await nodeIssuer(folder, { clock: systemClock, log: silentLog, hosts: [] })).issueNodeCert('n')
  const transport = httpsTransport({ server: `https://127.0.0.1:${ports.api}`, ca: authority, ...node, clock: systemClock })
  transports.push(transport)
  await expect(transport.get('/skiff/v1/certificates', { signal })).rejects.toThrow(/system:node:n.*cannot get path/)
  await expect(transport.post('/skiff/v1/secrets/rewrite', {}, { signal })).rejects.toThrow(/cannot post path/)
})
