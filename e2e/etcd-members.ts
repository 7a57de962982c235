// An etcd of one member or more that somebody else than Skiff runs, in a machine, with certificates of its own.
import type { ChildProcess } from 'node:child_process'
import { createWriteStream, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Authority } from '../controlplane/pki/authority.ts'
import { etcdBinary, etcdctlBinary } from '../deploy/etcd.ts'
import { type RunResult, waitFor } from '../deploy/steps.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { eventually, type Machine } from './machine.ts'

const ip = '192.0.2.10'

export interface EtcdMembers extends AsyncDisposable {
  readonly names: readonly string[]
  readonly endpoints: string
  /** Where the certificates and logs lie. */
  file(name: string): string
  etcdctl(...args: readonly string[]): Promise<RunResult>
  /** Of any size that etcd takes. */
  put(key: string, value: string): Promise<RunResult>
  /** As the options of a control plane and of `ctl up`. */
  flags(pair?: string, ca?: string): readonly string[]
  /** For clients of other kinds. */
  tls(): { readonly endpoints: readonly string[]; readonly ca: string; readonly cert: string; readonly key: string }
  start(name: string): void
  pid(name: string): number
  /** Kills it, and waits until it is gone. */
  kill(name: string): Promise<void>
  healthy(): Promise<void>
  /** With all members killed: another data folder, or none, in place of what a member had. */
  replaceData(name: string, by?: string): void
}

export interface MembersOptions {
  readonly names: readonly string[]
  /** More flags for each member. */
  readonly args?: readonly string[]
}

export async function startEtcdMembers(m: Machine, { names, args = [] }: MembersOptions): Promise<EtcdMembers> {
  const folder = join(m.folder, 'etcd')
  const file = (name: string): string => join(folder, name)
  mkdirSync(folder)
  await writeCertificates(folder)
  const clientPort = (name: string): number => 2379 + 10 * names.indexOf(name)
  const endpoint = (name: string): string => `https://${ip}:${clientPort(name)}`
  const endpoints = names.map(endpoint).join(',')
  const connection = [
    ...['--endpoints', endpoints, '--cacert', file('ca.crt')],
    ...['--cert', file('client.crt'), '--key', file('client.key')],
  ]
  const children = new Map<string, ChildProcess>()
  const members: EtcdMembers = {
    names,
    endpoints,
    file,
    etcdctl: (...command) => m.run(etcdctlBinary(), [...connection, ...command]),
    put: (key, input) => m.run(etcdctlBinary(), [...connection, 'put', key], { input }),
    flags: (pair = 'client', ca = 'ca.crt') => [
      `--etcd-endpoints=${endpoints}`,
      `--etcd-ca=${file(ca)}`,
      `--etcd-cert=${file(`${pair}.crt`)}`,
      `--etcd-key=${file(`${pair}.key`)}`,
    ],
    tls: () => {
      const read = (name: string): string => readFileSync(file(name), 'utf8')
      return { endpoints: names.map(endpoint), ca: read('ca.crt'), cert: read('client.crt'), key: read('client.key') }
    },
    start(name) {
      const flags = memberFlags({ name, names, clientPort, file })
      const child = m.spawn(etcdBinary(), [...flags, ...args])
      child.stdout?.resume()
      child.stderr?.pipe(createWriteStream(file(`${name}.log`), { flags: 'a' }))
      children.set(name, child)
    },
    pid: (name) => children.get(name)?.pid ?? 0, // nsenter becomes the program it runs.
    async kill(name) {
      const child = children.get(name)
      if (child === undefined) return
      child.kill('SIGKILL')
      await waitFor(10_000, async () => child.exitCode !== null || child.signalCode !== null)
    },
    async healthy() {
      await eventually('etcd is healthy', async (tell) => {
        const health = await members.etcdctl('endpoint', 'health')
        tell(health.stderr)
        return health.code === 0 ? true : undefined
      })
    },
    replaceData(name, by) {
      rmSync(file(name), { recursive: true, force: true })
      if (by !== undefined) renameSync(by, file(name))
    },
    async [Symbol.asyncDispose]() {
      for (const name of children.keys()) await members.kill(name)
    },
  }
  for (const name of names) members.start(name)
  await members.healthy()
  return members
}

interface FlagsOptions {
  readonly name: string
  readonly names: readonly string[]
  readonly clientPort: (name: string) => number
  readonly file: (name: string) => string
}

function memberFlags({ name, names, clientPort, file }: FlagsOptions): readonly string[] {
  const client = `https://${ip}:${clientPort(name)}`
  const peer = (one: string): string => `https://${ip}:${clientPort(one) + 1}`
  const tls = [
    ['trusted-ca-file', file('ca.crt')],
    ['cert-file', file('server.crt')],
    ['key-file', file('server.key')],
  ].flatMap(([flag, value]) => [`--${flag}=${value}`, `--peer-${flag}=${value}`])
  return [
    `--name=${name}`,
    `--data-dir=${file(name)}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer(name)}`,
    `--initial-advertise-peer-urls=${peer(name)}`,
    `--initial-cluster=${names.map((one) => `${one}=${peer(one)}`).join(',')}`,
    ...tls,
    '--client-cert-auth',
    '--peer-client-cert-auth',
    '--log-level=warn',
  ]
}

/** `client` and `server` of one authority, and `foreign` of another, called `other`. */
async function writeCertificates(folder: string): Promise<void> {
  const options = { clock: systemClock, log: silentLog }
  const authority = await Authority.loadOrCreate(folder, 'ca', options)
  // Addresses only, no name: that is how many etcd clusters are set up.
  const server = await authority.issue({ commonName: 'etcd', ips: [ip], usages: ['server', 'client'] })
  const client = await authority.issue({ commonName: 'skiff', usages: ['client'] })
  const stranger = await Authority.loadOrCreate(folder, 'other', options)
  const foreign = await stranger.issue({ commonName: 'skiff', usages: ['client'] })
  for (const [name, pair] of Object.entries({ server, client, foreign })) {
    writeFileSync(join(folder, `${name}.crt`), pair.cert)
    writeFileSync(join(folder, `${name}.key`), pair.key, { mode: 0o600 })
  }
}
