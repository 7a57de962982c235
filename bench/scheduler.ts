// How fast waiting pods get their nodes, with 500 and 5,000 nodes that are objects only; against etcd alone.
//   sh deploy/with-node.sh node bench/scheduler.ts [--nodes 500,5000] [--pods 5000] [--small] [--profile FOLDER]
import process from 'node:process'
import { parseArgs } from 'node:util'
import { Namespace } from '../api/kinds/namespace.ts'
import { Node } from '../api/kinds/node.ts'
import { Pod } from '../api/kinds/pod.ts'
import { createClient } from '../client/typed-client.ts'
import { leaderKey } from '../controlplane/core.ts'
import { encodeObject } from '../controlplane/store/codec.ts'
import { type EtcdStore, etcdStore } from '../controlplane/store/etcd.ts'
import { kindPrefix, objectKey } from '../controlplane/store/keys.ts'
import type { StoreEvent } from '../controlplane/store/store.ts'
import { startTestEtcd } from '../controlplane/testing/etcd.ts'
import { forEachLimit } from '../lib/async.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { systemRandom } from '../lib/random.ts'
import { wait } from './lib/api-cluster.ts'
import { usageOf } from './lib/processes.ts'
import { type Delay, processorOf, type Spine, startSpine, textTable } from './lib/spine.ts'

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '500,5000' },
    pods: { type: 'string', default: '5000' },
    small: { type: 'boolean', default: false },
    profile: { type: 'string' },
  },
})
const nodeCounts = values.small ? [20] : values.nodes.split(',').map(Number)
const pods = values.small ? 100 : Number(values.pods)
const nodeFlags = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`]
/** As many bindings as the scheduler has under way. */
const writers = 32
const clients = 32
const namespace = 'bench'
const deadlineMs = 200_000
const { signal } = new AbortController()
const deps = { clock: systemClock, random: systemRandom, log: silentLog }

interface Result {
  readonly name: string
  readonly seconds: number
  readonly controlPlane: number | undefined
  readonly etcd: number
  readonly delay: Delay | undefined
  readonly against: number | undefined
}

const results: Result[] = []
for (const nodes of nodeCounts) results.push(...(await measure(nodes)))
process.stdout.write(`${report(results)}\n`)

async function measure(nodes: number): Promise<readonly Result[]> {
  await using etcd = await startTestEtcd()
  const store = etcdStore({ endpoints: [etcd.endpoint], ...deps })
  try {
    // Whoever leads lets pods wait for as long as he likes: the control plane serves its API meanwhile.
    const leadership = await store.campaign({ key: leaderKey, value: 'bench', ttlMs: 10_000, signal })
    await using spine = await startSpine({
      etcd: etcd.endpoint,
      flags: ['--node-monitor-grace-period=3600s'], // Nobody renews leases here.
      nodeFlags,
    })
    await populate(spine, nodes)
    const etcdPid = usageOf(etcd.endpoint).find(({ program }) => program === 'etcd')?.pid ?? 0
    const pids = { controlPlane: spine.pid, etcd: etcdPid }
    const bound = boundPods(store, await revisionOf(store))
    await spine.delay()
    const binding = await processorOf(pids, async () => {
      await leadership.resign()
      await bound.all
    })
    const delay = await spine.delay()
    await check(spine)
    const seconds = bound.seconds()
    const raw = await rawCommits(store, etcdPid)
    return [
      { name: `${pods} pods bound, ${nodes} nodes`, ...binding.cpu, seconds, delay, against: raw.seconds },
      {
        name: `etcd alone, ${writers} writers`,
        seconds: raw.seconds,
        etcd: raw.etcd,
        controlPlane: undefined,
        delay: undefined,
        against: undefined,
      },
    ]
  } finally {
    store.close()
  }
}

async function populate({ transport }: Spine, nodes: number): Promise<void> {
  const client = createClient(transport)
  await client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, { signal })
  const amounts = { cpu: '64', memory: '256Gi', pods: '512' }
  const conditions = [
    { type: 'Ready', status: 'True' as const, reason: 'AgentReady', lastHeartbeatTime: new Date().toISOString() },
  ]
  await forEachLimit(numbers(nodes), clients, async (index) => {
    const name = `node-${index}`
    const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' }
    const made = await client.create(Node, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: {} }, { signal })
    await client.updateStatus(Node, { ...made, status: { capacity: amounts, allocatable: amounts, conditions } }, { signal })
  })
  await forEachLimit(numbers(pods), clients, async (index) => {
    await client.create(Pod, podOf(`pod-${index}`), { signal })
  })
}

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index)
}

function podOf(name: string): Pod {
  const resources = { requests: { cpu: '100m', memory: '64Mi' } }
  const containers = [{ name: 'main', image: 'registry.example/app:1', resources, ports: [{ containerPort: 8080 }] }]
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels: { app: 'waiting' } }, spec: { containers } }
}

async function revisionOf(store: EtcdStore): Promise<number> {
  return (await store.get(leaderKey, { signal })).revision
}

/** Seen in etcd itself: when the first and the last pod got a node. */
function boundPods(store: EtcdStore, afterRevision: number): { readonly all: Promise<void>; seconds(): number } {
  const times = new Map<string, number>()
  const follow = async (): Promise<void> => {
    const stop = AbortSignal.timeout(deadlineMs)
    for await (const { events } of store.watch({ prefix: kindPrefix(Pod), afterRevision, signal: stop })) {
      for (const key of events.flatMap(boundIn)) if (!times.has(key)) times.set(key, performance.now())
      if (times.size >= pods) return
    }
  }
  const secondsOf = (all: readonly number[]): number => ((all.at(-1) ?? Number.NaN) - (all[0] ?? Number.NaN)) / 1000
  return { all: follow(), seconds: () => secondsOf([...times.values()]) }
}

function boundIn(event: StoreEvent): readonly string[] {
  return event.type === 'put' && Buffer.from(event.current.value).includes('"nodeName":"node-') ? [event.current.key] : []
}

/** Every pod is there once, on a node that exists, and no node has more than it can take. */
async function check({ transport }: Spine): Promise<void> {
  const client = createClient(transport)
  const { items } = await client.list(Pod, { namespace, signal })
  const nodes = new Set((await client.list(Node, { signal })).items.map(({ metadata }) => metadata.name))
  const astray = items.filter(({ spec }) => !nodes.has(spec.nodeName ?? ''))
  if (items.length !== pods || astray.length > 0) throw new Error(`${astray.length} of ${items.length} pods are on no node`)
}

/** What a binding is for etcd, and nothing else: the bound of what any scheduler can reach on it. */
async function rawCommits(store: EtcdStore, etcdPid: number): Promise<{ seconds: number; etcd: number }> {
  await wait(500)
  const { fence, resign } = await store.campaign({ key: '/bench/leader', value: 'bench', ttlMs: 10_000, signal })
  const value = encodeObject({ ...podOf('raw'), status: { phase: 'Pending', text: 'x'.repeat(1200) } } as Pod)
  const place = (index: number): string =>
    objectKey({ group: '', plural: 'raw' }, namespace, `raw-${index}`).replace(/^\/skiff/, '/bench')
  const revisions = new Map<number, number>()
  const put = async (index: number): Promise<void> => {
    const key = place(index)
    const conditions = [{ key, modRevision: revisions.get(index) ?? 0 }, fence]
    const result = await store.commit({ conditions, writes: [{ put: key, value }] }, { signal })
    if (!result.committed) throw new Error(`${key} was not written`)
    revisions.set(index, result.revision)
  }
  await forEachLimit(numbers(pods), writers, put)
  const { seconds, cpu } = await processorOf({ etcd: etcdPid }, () => forEachLimit(numbers(pods), writers, put))
  await resign()
  return { seconds, etcd: cpu.etcd }
}

function report(all: readonly Result[]): string {
  const perPod = (value: number | undefined): string => (value === undefined ? '' : ((value * 1000) / pods).toFixed(2))
  const ms = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(0))
  const head = ['what', 's', 'per s', 'control plane', 'etcd', 'loop p50', 'p99', 'max', 'of etcd alone']
  const rows = all.map(({ name, seconds, controlPlane, etcd, delay, against }) => [
    name,
    seconds.toFixed(2),
    (pods / seconds).toFixed(0),
    perPod(controlPlane),
    perPod(etcd),
    ms(delay?.p50),
    ms(delay?.p99),
    ms(delay?.max),
    against === undefined ? '' : `${((100 * against) / seconds).toFixed(0)} %`,
  ])
  return `${textTable(head, rows)}\n\ncontrol plane, etcd: processor milliseconds per pod; loop: delay of the control plane's event loop, ms`
}
