import { Namespace } from '../../api/kinds/namespace.ts'
import { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { keyOf } from '../../api/meta/object-meta.ts'
import { isConflict, isNotFound } from '../../api/meta/status.ts'
import type { Client } from '../../client/client.ts'
import type { EventRecorder } from '../../client/events.ts'
import type { Change } from '../../client/informer.ts'
import type { Informers } from '../../client/informers.ts'
import { Bell, isAbort, withDeadline } from '../../lib/async.ts'
import { type Clock, formatTime } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Metrics } from '../../lib/metrics.ts'
import type { Random } from '../../lib/random.ts'
import type { Service } from '../../lib/service.ts'
import type { Turns } from '../../lib/slots.ts'
import { decide } from './decide.ts'
import type { Cluster } from './plugins/plugin.ts'
import { plugins } from './plugins/registry.ts'
import { SchedulingQueue } from './queue.ts'
import { Snapshot } from './snapshot.ts'

export interface SchedulerDeps {
  readonly client: Client
  readonly informers: Informers
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  /** The revision of the election: nothing is decided before the informers have reached it (law 3). */
  readonly startRevision?: () => number
  /** Decisions are made only while a turn of the event loop is young. */
  readonly turns?: Turns
}

/** Bindings under way at a time; more pods wait in the queue. */
const bindingsAtOnce = 32
const bindDeadlineMs = 15_000
const flushMs = 30_000
const ownNames = new Set(['default-scheduler', 'skiff-scheduler'])

/** Gives each pod that has no node the best one that it fits on, and says why where there is none. */
export function createScheduler(deps: SchedulerDeps): Service {
  // Asked for here, so that they are known before the composition runs them.
  deps.informers.for(Pod)
  deps.informers.for(Node)
  deps.informers.for(Namespace)
  const metrics = schedulerMetrics(deps.metrics)
  return { name: 'scheduler', run: (signal) => new SchedulerRun(deps, metrics).run(signal) }
}

function schedulerMetrics(metrics: Metrics) {
  return {
    attempts: metrics.counter('scheduler_attempts_total', 'Decisions by outcome.', {
      result: ['bound', 'unschedulable', 'conflict', 'error'],
    }),
    seconds: metrics.histogram('scheduler_decision_seconds', 'How long it takes to find a node.'),
    bindSeconds: metrics.histogram('scheduler_bind_seconds', 'How long it takes to write the decision.'),
    depth: metrics.gauge('scheduler_pending_pods', 'Pods that wait for a node.', { queue: ['ready', 'backoff', 'parked'] }),
  }
}

type SchedulerMetrics = ReturnType<typeof schedulerMetrics>

const isFinished = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
const isBound = (pod: Pod): boolean => (pod.spec.nodeName ?? '') !== ''
const isOurs = (pod: Pod): boolean => ownNames.has(pod.spec.schedulerName ?? 'default-scheduler')
const uidOf = (pod: Pod): string => pod.metadata.uid ?? ''

/** One run, as after one election: everything it knows is made anew from the informers. */
class SchedulerRun {
  readonly #deps: SchedulerDeps
  readonly #metrics: SchedulerMetrics
  readonly #snapshot = new Snapshot()
  readonly #bell = new Bell()
  readonly #queue: SchedulingQueue
  readonly #cluster: Cluster
  readonly #binding = new Set<Promise<void>>()
  /** Which node the next decision begins with where not all are looked at. */
  #start = 0

  constructor(deps: SchedulerDeps, metrics: SchedulerMetrics) {
    this.#deps = deps
    this.#metrics = metrics
    const wakes = new Map(plugins.map((plugin) => [plugin.name, plugin.wakes ?? []]))
    this.#queue = new SchedulingQueue({ clock: deps.clock, wakes, ready: () => this.#bell.ring() })
    const namespaces = deps.informers.for(Namespace)
    const snapshot = this.#snapshot
    this.#cluster = {
      get nodes() {
        return snapshot.nodes
      },
      get podsWithAntiAffinity() {
        return snapshot.podsWithAntiAffinity
      },
      node: (name) => snapshot.node(name),
      namespaceLabels: (name) => namespaces.get(name)?.metadata.labels,
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { informers, clock, startRevision } = this.#deps
    const pods = informers.for(Pod)
    const nodes = informers.for(Node)
    const start = Math.max(1, startRevision?.() ?? 0)
    await Promise.all([pods, nodes, informers.for(Namespace)].map((informer) => informer.waitFor(start, { signal })))
    using queue = this.#queue
    using _pods = pods.onChange((change) => this.#podChanged(change))
    using _nodes = nodes.onChange((change) => this.#nodeChanged(change))
    for (const node of nodes.list()) this.#nodeChanged({ old: undefined, new: node })
    for (const pod of pods.list()) this.#podChanged({ old: undefined, new: pod })
    try {
      while (!signal.aborted) {
        await this.#scheduleReady(queue, signal)
        await this.#bell.wait({ signal, clock, timeoutMs: flushMs })
        queue.flush()
      }
    } catch (err) {
      if (!isAbort(err, signal)) throw err
    } finally {
      await Promise.all(this.#binding)
    }
  }

  #podChanged({ old, new: pod }: Change<Pod>): void {
    const known = pod ?? old
    if (known === undefined) return
    const uid = uidOf(known)
    const wasThere = old !== undefined && isBound(old) && !isFinished(old)
    if (pod === undefined || isFinished(pod)) {
      this.#snapshot.removePod(uid)
      this.#queue.delete(keyOf(known))
      if (wasThere) this.#queue.wake('PodGone')
    } else if (isBound(pod)) {
      this.#snapshot.setPod(pod)
      this.#queue.delete(keyOf(pod))
      if (!wasThere) this.#queue.wake('PodBound')
    } else this.#unboundChanged(old, pod)
    this.#measure()
  }

  #unboundChanged(old: Pod | undefined, pod: Pod): void {
    if (pod.metadata.deletionTimestamp !== undefined || !isOurs(pod)) {
      this.#queue.delete(keyOf(pod))
      return
    }
    // A change of its status is most often our own word that it fits nowhere.
    if (old !== undefined && old.spec === pod.spec && old.metadata.labels === pod.metadata.labels) return
    if (old !== undefined && JSON.stringify([old.spec, old.metadata.labels]) === JSON.stringify([pod.spec, pod.metadata.labels]))
      return
    this.#queue.add({ key: keyOf(pod), uid: uidOf(pod), priority: pod.spec.priority ?? 0 })
  }

  #nodeChanged({ old, new: node }: Change<Node>): void {
    if (node === undefined) {
      this.#snapshot.removeNode(old.metadata.name ?? '')
      return
    }
    this.#snapshot.setNode(node)
    if (old === undefined) this.#queue.wake('NodeAdded')
    else if (couldHelp(old, node)) this.#queue.wake('NodeChanged')
  }

  async #scheduleReady(queue: SchedulingQueue, signal: AbortSignal): Promise<void> {
    const { turns } = this.#deps
    while (!signal.aborted) {
      if (this.#binding.size >= bindingsAtOnce) await Promise.race(this.#binding)
      if (turns !== undefined && !turns.isYoung()) await new Promise<void>((done) => turns.next(done))
      const next = queue.take()
      this.#measure()
      if (next === undefined) return
      const pod = this.#deps.informers.for(Pod).get(next.key)
      if (pod === undefined || uidOf(pod) !== next.uid || isBound(pod)) queue.delete(next.key)
      else this.#schedule(pod, signal)
    }
  }

  /** Decides at once, on what is known now; writing the decision goes on in the background. */
  #schedule(pod: Pod, signal: AbortSignal): void {
    const { clock, random } = this.#deps
    const startMs = clock.monotonicMs()
    const decision = decide(pod, this.#cluster, { plugins, random, start: this.#start })
    this.#metrics.seconds.observe((clock.monotonicMs() - startMs) / 1000)
    if (decision.type === 'node') {
      this.#start = (this.#start + decision.looked) % Math.max(1, this.#snapshot.nodes.length)
      this.#snapshot.assume(pod, decision.node)
      this.#track(this.#bind(pod, decision.node, signal))
      return
    }
    this.#metrics.attempts.inc({ result: 'unschedulable' })
    this.#queue.park(keyOf(pod), decision.plugins)
    this.#track(this.#explain(pod, decision.message, signal))
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#binding.delete(tracked))
    this.#binding.add(tracked)
  }

  /** Never rejects. */
  async #bind(pod: Pod, node: string, signal: AbortSignal): Promise<void> {
    const { client, clock, log, events } = this.#deps
    const key = keyOf(pod)
    const startMs = clock.monotonicMs()
    try {
      await withDeadline({ clock, ms: bindDeadlineMs, signal, what: `bind "${key}"` }, (inner) =>
        client.bind(pod, node, { signal: inner }),
      )
      this.#metrics.attempts.inc({ result: 'bound' })
      this.#metrics.bindSeconds.observe((clock.monotonicMs() - startMs) / 1000)
      log.info('pod bound', { pod: key, node })
      events.record(pod, { type: 'Normal', reason: 'Scheduled', message: `Successfully assigned ${key} to ${node}` })
    } catch (err) {
      // If the write took effect all the same, the informer says so and the pod leaves the queue.
      this.#snapshot.forget(uidOf(pod))
      if (isNotFound(err)) this.#queue.delete(key)
      else this.#queue.fail(key)
      if (signal.aborted) return
      this.#metrics.attempts.inc({ result: isConflict(err) ? 'conflict' : 'error' })
      log.warn('pod not bound', { pod: key, node, err })
    }
  }

  /** Says in condition and event why the pod fits nowhere. Never rejects. */
  async #explain(pod: Pod, message: string, signal: AbortSignal): Promise<void> {
    const { client, clock, events, log } = this.#deps
    events.record(pod, { type: 'Warning', reason: 'FailedScheduling', message })
    const was = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled')
    if (was?.status === 'False' && was.message === message) return
    const lastTransitionTime = was?.status === 'False' ? was.lastTransitionTime : formatTime(clock.now())
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message, lastTransitionTime }
    const { name = '', namespace = '', uid } = pod.metadata
    const body = { metadata: { uid }, status: { conditions: [condition] } }
    try {
      await withDeadline({ clock, ms: bindDeadlineMs, signal, what: `status of "${keyOf(pod)}"` }, (inner) =>
        client.patch(Pod, { namespace, name }, { type: 'strategic', body }, { signal: inner, subresource: 'status' }),
      )
    } catch (err) {
      if (!signal.aborted && !isNotFound(err) && !isConflict(err))
        log.warn('cannot say why a pod is not scheduled', { pod: keyOf(pod), err })
    }
  }

  #measure(): void {
    for (const [queue, depth] of Object.entries(this.#queue.depth)) this.#metrics.depth.set(depth, { queue })
  }
}

/** Heartbeats are no help; more room, other labels and fewer taints can be. */
function couldHelp(old: Node, node: Node): boolean {
  const part = ({ metadata, spec, status }: Node): string =>
    JSON.stringify([metadata.labels, spec?.taints, spec?.unschedulable, status?.allocatable, status?.images?.length])
  return part(old) !== part(node)
}
