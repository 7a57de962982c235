// An etcd cluster that somebody else runs: three members, reached over TLS with certificates of its own authority.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Authority } from '../controlplane/pki/authority.ts'
import { etcdBinary, etcdctlBinary } from '../deploy/etcd.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { prepareImage, shellPod } from './example-image.ts'
import { createMachine, eventually, type Machine, ok } from './machine.ts'
import { podTools } from './pod-tools.ts'

let m: Machine
const { apply, ctl } = podTools(() => m)
const members = new Map<string, ChildProcess>()
const names = ['one', 'two', 'three']
const ip = '192.0.2.10'
const clientPort = (name: string): number => 2379 + 10 * names.indexOf(name)
const endpoint = (name: string): string => `https://${ip}:${clientPort(name)}`
const endpoints = names.map(endpoint).join(',')
const file = (name: string): string => join(m.folder, 'etcd', name)

beforeAll(async () => {
  m = await createMachine('etcd')
  await prepareImage(m)
  mkdirSync(join(m.folder, 'etcd'))
  const authority = await Authority.loadOrCreate(file(''), 'ca', { clock: systemClock, log: silentLog })
  // Addresses only, no name: that is how many etcd clusters are set up.
  const server = await authority.issue({ commonName: 'etcd', ips: [ip], usages: ['server', 'client'] })
  const client = await authority.issue({ commonName: 'skiff', usages: ['client'] })
  const stranger = await Authority.loadOrCreate(file(''), 'other', { clock: systemClock, log: silentLog })
  const foreign = await stranger.issue({ commonName: 'skiff', usages: ['client'] })
  for (const [name, pair] of Object.entries({ server, client, foreign })) {
    writeFileSync(file(`${name}.crt`), pair.cert)
    writeFileSync(file(`${name}.key`), pair.key, { mode: 0o600 })
  }
  for (const name of names) startMember(name)
  await eventually('the etcd cluster is healthy', async (tell) => {
    const health = await etcdctl('endpoint', 'health')
    tell(health.stderr)
    return health.code === 0 ? true : undefined
  })
})
afterAll(async () => {
  await m[Symbol.asyncDispose]()
  for (const child of members.values()) child.kill('SIGKILL')
})

function startMember(name: string): void {
  const peer = (one: string): string => `https://${ip}:${clientPort(one) + 1}`
  const tls = [
    ['trusted-ca-file', file('ca.crt')],
    ['cert-file', file('server.crt')],
    ['key-file', file('server.key')],
  ].flatMap(([flag, value]) => [`--${flag}=${value}`, `--peer-${flag}=${value}`])
  const args = [
    `--name=${name}`,
    `--data-dir=${file(name)}`,
    `--listen-client-urls=${endpoint(name)}`,
    `--advertise-client-urls=${endpoint(name)}`,
    `--listen-peer-urls=${peer(name)}`,
    `--initial-advertise-peer-urls=${peer(name)}`,
    `--initial-cluster=${names.map((one) => `${one}=${peer(one)}`).join(',')}`,
    ...tls,
    '--client-cert-auth',
    '--peer-client-cert-auth',
    '--log-level=warn',
  ]
  const log = openSync(file(`${name}.log`), 'a')
  const netns = `--net=/run/netns/skiff-etcd-${process.pid}`
  members.set(name, spawn('nsenter', [netns, etcdBinary(), ...args], { stdio: ['ignore', log, log] }))
}

function stopMember(name: string): void {
  members.get(name)?.kill('SIGKILL')
}

const etcdctl = (...args: readonly string[]) =>
  m.run(etcdctlBinary(), [
    ...['--endpoints', endpoints, '--cacert', file('ca.crt'), '--cert', file('client.crt'), '--key', file('client.key')],
    ...args,
  ])

const flags = (pair: string, ca = 'ca.crt'): readonly string[] => [
  `--etcd-endpoints=${endpoints}`,
  `--etcd-ca=${file(ca)}`,
  `--etcd-cert=${file(`${pair}.crt`)}`,
  `--etcd-key=${file(`${pair}.key`)}`,
]

test('wrong files and wrong authorities are told, and nothing is left running', async () => {
  const missing = await m.ctl('up', `--etcd-endpoints=${endpoints}`, '--etcd-ca=/nowhere/ca.crt')
  expect([missing.code, missing.stderr]).toEqual([1, 'error: --etcd-ca: cannot read "/nowhere/ca.crt"\n'])
  const half = await m.ctl(
    'up',
    `--etcd-endpoints=${endpoints}`,
    `--etcd-ca=${file('ca.crt')}`,
    `--etcd-cert=${file('client.crt')}`,
  )
  expect([half.code, half.stderr]).toEqual([1, expect.stringContaining('--etcd-cert and --etcd-key belong together')])
  for (const pair of [flags('foreign'), flags('client', 'other.crt')]) {
    const refused = await m.ctl('up', '--timeout=5s', ...pair)
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/etcd.*(certificate|TLS|handshake|authority)/i)])
    ok(await m.ctl('down'))
  }
})

test('ctl up with an etcd of one’s own: no etcd is started, and what is applied lies in it', async () => {
  ok(await m.ctl('up', ...flags('client')))
  await apply(shellPod('first', 'sleep 1000'))
  expect(ok(await etcdctl('get', '--prefix', '--keys-only', '/skiff/'))).toContain('/default/first')
  expect(ok(await m.run('ls', [m.dataDir]))).not.toMatch(/^etcd$/m)
})

test.each(names)('member %s may die and come back: writing goes on', async (name) => {
  stopMember(name)
  await apply(shellPod(`without-${name}`, 'sleep 1000'), '--timeout=40s')
  expect(await ctl('get', 'nodes', '--no-headers')).toMatch(/\sReady\s/)
  startMember(name)
  await eventually(`${name} is back`, async (tell) => {
    const health = await etcdctl('endpoint', 'health')
    tell(health.stderr)
    return health.code === 0 ? true : undefined
  })
})

test('ctl down and up again need no flags, and leave the cluster and the containers alone', async () => {
  ok(await m.ctl('down'))
  expect((await etcdctl('endpoint', 'health')).code).toBe(0)
  ok(await m.ctl('up'))
  const restarts = '{.items[*].status.containerStatuses[*].restartCount}'
  expect(await ctl('get', 'pods', '-o', `jsonpath=${restarts}`)).toBe('0 0 0 0')
})

test('ctl down --purge leaves the etcd alone, and says what lies in it', async () => {
  const said = ok(await m.ctl('down', '--purge'))
  expect(said).toContain(`what Skiff wrote to the etcd at ${endpoints} stays`)
  expect(said).toContain('etcdctl del --prefix /skiff/')
  expect(ok(await etcdctl('get', '--prefix', '--keys-only', '/skiff/'))).toContain('/default/first')
})
