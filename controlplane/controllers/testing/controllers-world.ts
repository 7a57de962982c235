import { Lease } from '../../../api/kinds/lease.ts'
import { Node } from '../../../api/kinds/node.ts'
import type { Pod as PodObject } from '../../../api/kinds/pod.ts'
import { Pod } from '../../../api/kinds/pod.ts'
import { isNotFound, unavailable } from '../../../api/meta/status.ts'
import type { Client } from '../../../client/client.ts'
import { controllerServices } from '../../../client/controller.ts'
import { createEventRecorder } from '../../../client/events.ts'
import { createInformers, type Informers } from '../../../client/informers.ts'
import { createClient } from '../../../client/typed-client.ts'
import { isAbort } from '../../../lib/async.ts'
import { FakeClock, formatMicroTime, formatTime } from '../../../lib/clock.ts'
import { silentLog } from '../../../lib/log.ts'
import { createMetrics } from '../../../lib/metrics.ts'
import { seededRandom } from '../../../lib/random.ts'
import { createWorld, type World } from '../../testing/world.ts'
import { controllers } from '../registry.ts'

export interface ControllersWorld extends World, AsyncDisposable {
  readonly informers: Informers
  /** Moves time in small steps until `check` passes; fails with its last error. */
  eventually(check: () => unknown | Promise<unknown>, withinMs?: number): Promise<void>
  /** Moves time by `ms` in small steps, letting everything run in between. */
  pass(ms: number): Promise<void>
  /** What agents do: binds pods to `nodes` in turn, lets them become ready, ends those that are being deleted. */
  playAgents(nodes: readonly string[], isReady?: (pod: PodObject) => boolean): Promise<void>
  /** While it is, the controllers' lists fail, as those of a store that does not answer. */
  readonly away: { is: boolean }
  /** Stops the controllers, as when leadership is lost, and starts them again. */
  restart(): Promise<void>
}

/** All controllers over the real registry and cache, on a clock that only moves when told. */
export async function createControllersWorld(): Promise<ControllersWorld> {
  const clock = new FakeClock()
  const world = await createWorld({ clock })
  const { signal } = world
  const away = { is: false }
  const client = clientOf(world, away)
  const random = seededRandom(2)
  const common = { client, clock, random, log: silentLog }
  const informers = createInformers(common)
  const events = createEventRecorder({ client, clock, log: silentLog, component: 'skiff' })
  const build = { informers, clock, events }
  let metrics = createMetrics('skiff_')
  const make = () => controllerServices(controllers(build, { graceMs: 40_000 }), { ...common, informers, metrics })
  let services = make()
  const stop = new AbortController()
  const informing = [...informers.services, events].map((one) => one.run(stop.signal))
  let leading = new AbortController()
  // One that is stopped while it still waits for what there is ends with that.
  const start = (signal: AbortSignal): readonly Promise<void>[] =>
    services.map((one) =>
      one.run(signal).catch((err: unknown) => {
        if (!isAbort(err, signal)) throw err
      }),
    )
  let running = start(leading.signal)
  const breathe = async (): Promise<void> => {
    for (let i = 0; i < 8; i++) await new Promise((resolve) => setImmediate(resolve))
  }
  const pass = async (ms: number, stepMs = 250): Promise<void> => {
    for (let left = ms; left > 0; left -= stepMs) {
      clock.step(Math.min(left, stepMs))
      await breathe()
    }
  }
  const play = async (pod: PodObject, node: string, isReady: boolean): Promise<void> => {
    const { namespace = '', name = '' } = pod.metadata
    if (pod.metadata.deletionTimestamp !== undefined) {
      await client.delete(Pod, { namespace, name }, { signal, gracePeriodSeconds: 0 })
      return
    }
    if ((pod.spec.nodeName ?? '') === '') await client.bind(pod, node, { signal })
    const live = await client.get(Pod, { namespace, name }, { signal })
    const now = formatTime(clock.now())
    const conditions = [{ type: 'Ready', status: isReady ? ('True' as const) : ('False' as const), lastTransitionTime: now }]
    const status = { ...live.status, phase: 'Running' as const, podIP: '10.42.0.9', conditions }
    await client.updateStatus(Pod, { ...live, status }, { signal })
  }
  return {
    ...world,
    away,
    informers,
    pass,
    async eventually(check, withinMs = 60_000) {
      for (let passed = 0; ; passed += 250) {
        try {
          await check()
          return
        } catch (err) {
          if (passed >= withinMs) throw err
        }
        await pass(250)
      }
    },
    async playAgents(nodes, isReady = () => true) {
      for (const [index, pod] of world.cache.list(Pod).entries()) {
        const ready = pod.status?.conditions?.find((one) => one.type === 'Ready')?.status === 'True'
        const isDone = pod.status?.podIP !== undefined && ready === isReady(pod) && pod.metadata.deletionTimestamp === undefined
        if (!isDone) await play(pod, nodes[index % nodes.length] ?? '', isReady(pod))
      }
      await pass(500)
    },
    async restart() {
      leading.abort()
      await Promise.all(running)
      leading = new AbortController()
      metrics = createMetrics('skiff_')
      services = make()
      running = start(leading.signal)
    },
    async [Symbol.asyncDispose]() {
      leading.abort()
      stop.abort()
      await Promise.all([...running, ...informing])
      await world[Symbol.asyncDispose]()
    },
  }
}

/** Its lists fail while the store is away. */
function clientOf(world: World, away: ControllersWorld['away']): Client {
  const { transport } = world.client
  return createClient({
    ...transport,
    request: (request, opts) =>
      away.is && request.verb === 'list' ? Promise.reject(unavailable('the store is away')) : transport.request(request, opts),
  })
}

/** A node that has just said that it is ready; `beat` keeps it alive. */
export async function createNode(world: World, name: string): Promise<void> {
  const { client, signal, clock } = world
  const made = await client.create(Node, { apiVersion: 'v1', kind: 'Node', metadata: { name } }, { signal })
  const conditions = [{ type: 'Ready', status: 'True' as const, lastHeartbeatTime: formatTime(clock.now()) }]
  await client.updateStatus(Node, { ...made, status: { ...made.status, conditions } }, { signal })
}

/** Renews the leases of `nodes`, as their agents do. */
export async function beat({ client, signal, clock }: World, nodes: readonly string[]): Promise<void> {
  for (const name of nodes) {
    const ref = { namespace: 'kube-node-lease', name }
    const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: formatMicroTime(clock.now()) }
    try {
      await client.patch(Lease, ref, { type: 'merge', body: { spec } }, { signal })
    } catch (err) {
      if (!isNotFound(err)) throw err
      const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: ref, spec }
      await client.create(Lease, lease, { signal })
    }
  }
}
