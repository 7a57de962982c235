import type { KindDef } from '../../../api/kinds/define.ts'
import { Lease } from '../../../api/kinds/lease.ts'
import type { Node as NodeObject, Taint } from '../../../api/kinds/node.ts'
import { Node } from '../../../api/kinds/node.ts'
import type { Pod as PodObject } from '../../../api/kinds/pod.ts'
import { Pod } from '../../../api/kinds/pod.ts'
import type { ApiObject } from '../../../api/meta/object-meta.ts'
import { isConflict, isNotFound } from '../../../api/meta/status.ts'
import { type ControllerDef, type ReconcileContext, watches } from '../../../client/controller.ts'
import { forEachLimit } from '../../../lib/async.ts'
import { formatTime } from '../../../lib/clock.ts'
import { isSameJson } from '../shared/deep-equal.ts'
import type { BuildDeps } from '../shared/deps.ts'
import { isFinished, isReady } from '../shared/pods.ts'
import { Liveness } from './liveness.ts'
import {
  evictionInMs,
  hasEvictionTaint,
  isDisruption,
  isLifecycleTaint,
  readyOf,
  silentConditions,
  wantedTaints,
} from './plan.ts'

export interface NodeLifecycleOptions {
  /** Silence after which a node counts as unreachable. */
  readonly graceMs: number
}

const leaseNamespace = 'kube-node-lease'
const everyMs = 5000
/** Also a look that had to wait for the API for so long was an outage of ours. */
const gapMs = 2 * everyMs
/** Kubernetes' eviction rate: a node in ten seconds. */
const betweenTaintsMs = 10_000
const writesAtOnce = 8
const oneKey = 'all'
const byNode = 'node'

/** Marks silent nodes, taints them, and evicts pods that do not tolerate it for longer. */
export function nodeLifecycleController(deps: BuildDeps, options: NodeLifecycleOptions): ControllerDef {
  deps.informers.for(Pod).addIndex(byNode, (pod) => (pod.spec.nodeName === undefined ? [] : [pod.spec.nodeName]))
  const lifecycle = new NodeLifecycle(deps, options)
  return {
    name: 'node-lifecycle',
    sources: [
      { kind: Node as unknown as KindDef, keys: ({ old, new: now }) => (isTurn(old, now) ? [oneKey] : []) },
      watches(Pod, () => []),
      watches(Lease, () => []),
    ],
    startKeys: [oneKey],
    reads: [],
    writes: ['nodes', 'nodes/status', 'pods', 'pods/status'],
    workers: 1,
    reconcile: async (_key, context) => {
      await lifecycle.look(context)
      return { afterMs: everyMs }
    },
  }
}

/** A node that is ready again, or was tainted by hand, is looked at at once; not each of its heartbeats. */
function isTurn(old: ApiObject | undefined, now: ApiObject | undefined): boolean {
  if (old === undefined || now === undefined) return true
  const [before, after] = [old as NodeObject, now as NodeObject]
  return readyOf(before)?.status !== readyOf(after)?.status || !isSameJson(before.spec?.taints, after.spec?.taints)
}

class NodeLifecycle {
  readonly #deps: BuildDeps
  readonly #graceMs: number
  readonly #liveness = new Liveness(gapMs)
  /** Since when a NoExecute taint of a node has counted, by our clock. */
  readonly #taintedAtMs = new Map<string, number>()
  #nextTaintAtMs = 0
  #wereAllSilent = false

  constructor(deps: BuildDeps, { graceMs }: NodeLifecycleOptions) {
    this.#deps = deps
    this.#graceMs = graceMs
  }

  async look(context: ReconcileContext): Promise<void> {
    const { clock, informers } = this.#deps
    // Proves that the API works and can be read. When not, no node could tell that it lives.
    try {
      await context.client.list(Lease, { namespace: leaseNamespace, limit: 1, signal: context.signal })
    } catch (err) {
      this.#liveness.missed()
      throw err
    }
    const nodes = informers.for(Node).list()
    this.#takeIn(nodes, clock.monotonicMs())
    for (const node of nodes) await this.#judge(node, context)
    const now = informers.for(Node).list()
    const isSuspended = this.#wereAllSilent || isDisruption(now)
    for (const node of now) await this.#taint(node, isSuspended, context)
    this.#forgetTaints(now)
    for (const node of now) await this.#evict(node, isSuspended, context)
  }

  #takeIn(nodes: readonly NodeObject[], nowMs: number): void {
    const leases = this.#deps.informers.for(Lease)
    const signs = new Map(
      nodes.map((node) => {
        const name = node.metadata.name ?? ''
        const lease = leases.get(`${leaseNamespace}/${name}`)
        const ready = readyOf(node)?.status === 'Unknown' ? '' : (readyOf(node)?.lastHeartbeatTime ?? '')
        return [name, `${lease?.spec?.renewTime ?? ''} ${ready}`] as const
      }),
    )
    const isGap = this.#liveness.look(signs, nowMs)
    const areAllSilent = this.#liveness.allSilentForMs(nowMs) > this.#graceMs
    if (isGap) this.#taintedAtMs.clear()
    if (this.#wereAllSilent && !areAllSilent) {
      this.#liveness.forgive(nowMs)
      this.#taintedAtMs.clear()
    }
    this.#wereAllSilent = areAllSilent
  }

  async #judge(node: NodeObject, { client, log, signal }: ReconcileContext): Promise<void> {
    const { clock, informers, events } = this.#deps
    const { name = '' } = node.metadata
    if (this.#liveness.silentForMs(name, clock.monotonicMs()) <= this.#graceMs) return
    const conditions = silentConditions(node, clock.now())
    if (conditions === undefined) return
    // The cache may lag: only what the server says now counts against a node.
    const seen = informers.for(Lease).get(`${leaseNamespace}/${name}`)
    const live = await client.get(Lease, { namespace: leaseNamespace, name }, { signal }).catch((err: unknown) => {
      if (isNotFound(err)) return undefined
      throw err
    })
    if (live?.spec?.renewTime !== seen?.spec?.renewTime) return
    log.info('node is silent', { node: name })
    await client.updateStatus(Node, { ...node, status: { ...node.status, conditions } }, { signal })
    events.record(node, { type: 'Normal', reason: 'NodeNotReady', message: `Node ${name} status is now: NodeNotReady` })
    await forEachLimit(this.#podsOn(name).filter(isReady), writesAtOnce, (pod) => this.#markNotReady(pod, { client, signal }))
  }

  #podsOn(node: string): readonly PodObject[] {
    return this.#deps.informers.for(Pod).byIndex(byNode, node)
  }

  /** Nobody knows whether it serves: it leaves the endpoints. */
  async #markNotReady(pod: PodObject, { client, signal }: Pick<ReconcileContext, 'client' | 'signal'>): Promise<void> {
    const lastTransitionTime = formatTime(this.#deps.clock.now())
    const conditions = (pod.status?.conditions ?? []).map((one) =>
      one.type === 'Ready'
        ? { ...one, status: 'False' as const, reason: 'NodeNotReady', message: 'The node is silent.', lastTransitionTime }
        : one,
    )
    await ignoringRaces(client.updateStatus(Pod, { ...pod, status: { ...pod.status, conditions } }, { signal }))
  }

  async #taint(node: NodeObject, isSuspended: boolean, { client, signal }: ReconcileContext): Promise<void> {
    const { clock } = this.#deps
    const mayEvict = !isSuspended && clock.monotonicMs() >= this.#nextTaintAtMs
    const taints = wantedTaints(node, mayEvict, clock.now())
    if (taints === undefined) return
    const { name = '', uid, resourceVersion } = node.metadata
    const isNew = !hasEvictionTaint(node) && taints.some((one) => isLifecycleTaint(one) && one.effect === 'NoExecute')
    if (isNew) this.#nextTaintAtMs = clock.monotonicMs() + betweenTaintsMs
    const body = { metadata: { uid, resourceVersion }, spec: { taints } }
    await ignoringRaces(client.patch(Node, { name }, { type: 'merge', body }, { signal }))
  }

  /** A taint that was taken off, and comes again, counts from the start. */
  #forgetTaints(nodes: readonly NodeObject[]): void {
    const there = new Set(nodes.flatMap((node) => (node.spec?.taints ?? []).map((taint) => taintId(node, taint))))
    for (const id of this.#taintedAtMs.keys()) if (!there.has(id)) this.#taintedAtMs.delete(id)
  }

  async #evict(node: NodeObject, isSuspended: boolean, context: ReconcileContext): Promise<void> {
    const nowMs = this.#deps.clock.monotonicMs()
    const taints = (node.spec?.taints ?? []).filter((one) => one.effect === 'NoExecute')
    const counting = taints.flatMap((taint) => {
      const id = taintId(node, taint)
      if (isSuspended && isLifecycleTaint(taint)) {
        this.#taintedAtMs.delete(id)
        return []
      }
      const sinceMs = this.#taintedAtMs.get(id) ?? nowMs
      this.#taintedAtMs.set(id, sinceMs)
      return [{ taint, ageMs: nowMs - sinceMs }]
    })
    if (counting.length === 0) return
    const victims = this.#podsOn(node.metadata.name ?? '').filter(
      (pod) => pod.metadata.deletionTimestamp === undefined && !isFinished(pod) && evictionInMs(pod, counting) === 0,
    )
    await forEachLimit(victims, writesAtOnce, (pod) => this.#delete(pod, context))
  }

  /** Only asks: the node's agent removes a pod when its processes are gone, or a person says that the node is. */
  async #delete(pod: PodObject, { client, log, signal }: ReconcileContext): Promise<void> {
    const { namespace = '', name = '', uid = '' } = pod.metadata
    log.info('pod evicted', { pod: `${namespace}/${name}`, node: pod.spec.nodeName })
    const message = `Marking for deletion Pod ${namespace}/${name}`
    this.#deps.events.record(pod, { type: 'Normal', reason: 'TaintManagerEviction', message })
    await ignoringRaces(client.delete(Pod, { namespace, name }, { signal, preconditions: { uid } }))
  }
}

const taintId = (node: NodeObject, { key, value = '', effect }: Taint): string =>
  `${node.metadata.uid ?? ''} ${key} ${value} ${effect}`

/** Somebody else was faster; the next look sees what is left to do. */
async function ignoringRaces(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (err) {
    if (!isConflict(err) && !isNotFound(err)) throw err
  }
}
