// A cluster of hollow nodes: real agents' sessions over gRPC with certificates, pods through Deployments; nothing runs.
//   sh deploy/with-node.sh node bench/scale.ts [--nodes 1000] [--pods 10000] [--seconds 20] [--small] [--spin 14] [--profile FOLDER]
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { Deployment } from '../api/kinds/deployment.ts'
import { Namespace } from '../api/kinds/namespace.ts'
import { Pod } from '../api/kinds/pod.ts'
import { createClient } from '../client/typed-client.ts'
import { nodeIssuer } from '../controlplane/pki/pki.ts'
import { startTestEtcd } from '../controlplane/testing/etcd.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { wait } from './lib/api-cluster.ts'
import { usageOf, waitedMsOf } from './lib/processes.ts'
import { delayOf, memoryOf, processorOf, type Spine, startSpine, textTable } from './lib/spine.ts'

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    pods: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '20' },
    small: { type: 'boolean', default: false },
    // Programs that want a processor all the time, beside it all.
    spin: { type: 'string', default: '0' },
    profile: { type: 'string' },
  },
})
const nodes = values.small ? 10 : Number(values.nodes)
const pods = values.small ? 60 : Number(values.pods)
const idleSeconds = values.small ? 1 : Number(values.seconds)
const perDeployment = 100
const agentsPerProcess = 500
const namespace = 'bench'
const nodeFlags = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`]
const deadlineMs = 400_000
const { signal } = new AbortController()

await using etcd = await startTestEtcd()
await using spine = await startSpine({
  etcd: etcd.endpoint,
  flags: ['--cluster-cidr=10.0.0.0/12', '--service-cidr=10.100.0.0/16'],
  nodeFlags,
})
const folder = join(spine.folder, 'hollow')
await issue()
/** Ends with this program, however that ends. */
const spinner = `for (let at = 1; at % 1e6 || process.ppid === ${process.pid}; at++);`
const spinning = Array.from({ length: Number(values.spin) }, () => spawn(process.execPath, ['-e', spinner]))
const hosts = startHosts()
const bare = fork(join(import.meta.dirname, 'lib/bare-loop.ts'), { execArgv: [] })
try {
  const etcdPid = usageOf(etcd.endpoint).find(({ program }) => program === 'etcd')?.pid ?? 0
  const hostPids = Object.fromEntries(hosts.map(({ pid }, index) => [`host${index}`, pid ?? 0]))
  const pids = { controlPlane: spine.pid, etcd: etcdPid, ...hostPids }
  const rows: (readonly string[])[] = []
  await phase(rows, `${nodes} nodes joined`, pids, () =>
    until('sessions', async () => (await spine.metric('skiff_gateway_sessions')) >= nodes),
  )
  await phase(rows, `${idleSeconds} s without a change`, pids, () => wait(idleSeconds * 1000))
  await phase(rows, `0 to ${pods} pods ready`, pids, deploy)
  await check(spine)
  await phase(rows, `${idleSeconds} s with ${pods} pods`, pids, () => wait(idleSeconds * 1000))
  const loop = ['loop p50', 'p99', 'max', 'bare p50', 'p99', 'max']
  const head = ['what', 's', 'control plane', 'waited', 'etcd', 'agents', ...loop, 'RSS', 'etcd', 'agents']
  const words = [
    'control plane, etcd, agents (all of them): processor seconds; RSS: MiB at the end of the phase',
    'waited: seconds for which the main thread of the control plane was ready to run and another had the processor',
    "loop: delay of the control plane's event loop, ms; bare: that of a program which does nothing",
  ]
  process.stdout.write(`${textTable(head, rows)}\n\n${words.join('\n')}\n`)
} finally {
  for (const child of [...spinning, ...hosts, bare]) child.kill('SIGTERM')
  await Promise.all([...spinning, ...hosts, bare].map(ended))
}

async function issue(): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const issuer = await nodeIssuer(spine.folder, { clock: systemClock, log: silentLog, hosts: [] })
  cpSync(join(spine.folder, 'pki/cluster-ca.crt'), join(folder, 'ca.crt'))
  for (let index = 0; index < nodes; index++) {
    const { cert, key } = await issuer.issueNodeCert(`hollow-${index}`)
    writeFileSync(join(folder, `hollow-${index}.pem`), `${cert}${key}`, { mode: 0o600 })
  }
}

function startHosts(): readonly ChildProcess[] {
  const count = Math.ceil(nodes / agentsPerProcess)
  return Array.from({ length: count }, (_, index) => {
    const range = [index * agentsPerProcess, Math.min(nodes, (index + 1) * agentsPerProcess)].map(String)
    return fork(join(import.meta.dirname, 'lib/hollow-host.ts'), [folder, `127.0.0.1:${spine.gatewayPort}`, ...range], {
      execArgv: [],
    })
  })
}

async function phase(
  rows: (readonly string[])[],
  name: string,
  pids: Readonly<Record<string, number>> & { readonly controlPlane: number; readonly etcd: number },
  work: () => Promise<void>,
): Promise<void> {
  await Promise.all([spine.delay(), delayOf(bare)])
  const waitedMs = waitedMsOf(pids.controlPlane)
  const { seconds, cpu } = await processorOf(pids, work)
  const waited = (waitedMsOf(pids.controlPlane) - waitedMs) / 1000
  const delays = (await Promise.all([spine.delay(), delayOf(bare)])).flatMap(({ p50, p99, max }) => [p50, p99, max])
  const agents = Object.entries(cpu).reduce((sum, [who, used]) => (who.startsWith('host') ? sum + used : sum), 0)
  const memory = Object.entries(pids).reduce((sum, [who, pid]) => (who.startsWith('host') ? sum + memoryOf(pid) : sum), 0)
  const numbers = [seconds, cpu['controlPlane'] ?? 0, waited, cpu['etcd'] ?? 0, agents].map((value, at) =>
    // Not every kernel counts it.
    at === 2 && Number.isNaN(value) ? '-' : value.toFixed(1),
  )
  rows.push([
    name,
    ...numbers,
    ...[...delays, memoryOf(pids.controlPlane), memoryOf(pids.etcd), memory].map((value) => value.toFixed(0)),
  ])
}

async function deploy(): Promise<void> {
  const client = createClient(spine.transport)
  await client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, { signal })
  let left = pods
  for (let index = 0; left > 0; index++, left -= perDeployment) {
    const labels = { app: `app-${index}` }
    const resources = { requests: { cpu: '100m', memory: '64Mi' } }
    const containers = [{ name: 'main', image: 'registry.example/app:1', imagePullPolicy: 'IfNotPresent' as const, resources }]
    const spec = {
      replicas: Math.min(left, perDeployment),
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    }
    await client.create(
      Deployment,
      { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: `app-${index}`, namespace }, spec },
      { signal },
    )
  }
  await until('ready pods', async () => {
    const { items } = await client.list(Deployment, { namespace, signal })
    return items.reduce((sum, { status }) => sum + (status?.readyReplicas ?? 0), 0) >= pods
  })
}

/** Exactly as many as were asked for, all running and ready, no two with one address. */
async function check({ transport }: Spine): Promise<void> {
  const { items } = await createClient(transport).list(Pod, { namespace, signal })
  const ready = items.filter(({ status }) =>
    status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
  )
  const addresses = new Set(ready.map(({ status }) => status?.podIP))
  if (items.length !== pods || ready.length !== pods || addresses.size !== pods)
    throw new Error(`${items.length} pods, ${ready.length} ready, ${addresses.size} addresses; wanted: ${pods} of each`)
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const startedMs = performance.now(); !(await isSo()); await wait(values.small ? 100 : 500))
    if (performance.now() - startedMs > deadlineMs) throw new Error(`${what}: not within ${deadlineMs / 1000} s`)
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await new Promise<void>((done) => child.once('exit', () => done()))
}
