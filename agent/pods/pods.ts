import type { UnlistedPod } from '../../api/derive/unlisted-pods.ts'
import { Bell, isAbort, sleep, withDeadline } from '../../lib/async.ts'
import { Backoff } from '../../lib/backoff.ts'
import type { Service } from '../../lib/service.ts'
import { Slots } from '../../lib/slots.ts'
import { type ContainerState, isSpareUid } from '../runtime/runtime.ts'
import { type Backoffs, createBackoffs } from './context.ts'
import type { PodsDeps } from './deps.ts'
import { KeyedLanes } from './keyed-lanes.ts'
import { type PodStatus, uidOf } from './pod-types.ts'
import { PodsSeen } from './pods-seen.ts'
import { PodWorker } from './worker.ts'

export interface PodsOptions {
  /** Pods worked on at a time. */
  readonly lanes?: number
  readonly pullsAtOnce?: number
  /** The engine is asked for everything at a random time up to this after the last time, at least half of it. */
  readonly relistMs?: number
}

const listDeadlineMs = 60_000
/** What a pod's worker has most likely done itself is looked at so much later. */
const ownDoingMs = 1_000
/** The engine answers sooner unless something is wrong with it, or with one container. */
const relief = { afterMs: 5_000, most: 64 } as const

interface Shared {
  readonly lanes: KeyedLanes
  readonly backoffs: Backoffs
}

export interface Pods extends Service {
  /** Whether some pod is being worked on now. */
  readonly isBusy: boolean
  /** Pods that run here though the control plane does not list them; those that have containers only, as last looked at. */
  readonly unlisted: readonly UnlistedPod[]
  /** What was last reported of a pod; undefined before that. */
  status(uid: string): PodStatus | undefined
}

/** Runs the pods of this node: a worker for each, woken by whatever changes, and a relist for what was missed. */
export function createPods(deps: PodsDeps, options: PodsOptions = {}): Pods {
  return new PodsService(deps, options)
}

class PodsService implements Pods {
  readonly name = 'pods'
  readonly #deps: PodsDeps
  readonly #options: Required<PodsOptions>
  readonly #workers = new Map<string, PodWorker>()
  readonly #seen = new PodsSeen()
  readonly #strangers = new Map<string, UnlistedPod>()
  readonly #metrics: PodsMetrics
  #lanes: KeyedLanes | undefined

  constructor(deps: PodsDeps, { lanes = 8, pullsAtOnce = 3, relistMs = 20_000 }: PodsOptions) {
    this.#deps = deps
    this.#options = { lanes, pullsAtOnce, relistMs }
    this.#metrics = podsMetrics(deps)
  }

  get isBusy(): boolean {
    return (this.#lanes?.size ?? 0) > 0
  }

  get unlisted(): readonly UnlistedPod[] {
    const { desired } = this.#deps
    const kept = desired.pods().filter((pod) => desired.isKept(uidOf(pod)))
    const refs = kept.map(({ metadata: { namespace = '', name = '', uid = '' } }) => ({ namespace, name, uid }))
    return [...refs, ...this.#strangers.values()]
  }

  status(uid: string): PodStatus | undefined {
    return this.#workers.get(uid)?.status
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, desired, probes, log } = this.#deps
    const backoffs = createBackoffs(this.#deps)
    const slots = new Slots(this.#options.pullsAtOnce)
    const relist = new Bell()
    const workerFor = (uid: string): PodWorker => {
      const known = this.#workers.get(uid)
      if (known !== undefined) return known
      const made = new PodWorker({
        ...{ uid, deps: this.#deps, backoffs, slots },
        hasNothing: () => this.#seen.hasNothingOf(uid),
        ring: () => lanes.add(uid),
      })
      this.#workers.set(uid, made)
      return made
    }
    const lanes: KeyedLanes = new KeyedLanes({
      lanes: this.#options.lanes,
      relief,
      clock,
      work: async (uid, laneSignal) =>
        this.#isOurs(uid) ? await this.#work(workerFor(uid), uid, { lanes, backoffs }, laneSignal) : undefined,
      failed: (uid, err) => {
        this.#metrics.syncs.inc({ result: 'error' })
        log.warn('pod not brought forward', { podUid: uid, err })
        return backoffs.trouble.next(uid)
      },
    })
    this.#lanes = lanes
    using _desired = desired.subscribe((uids) => {
      for (const uid of uids) lanes.add(uid)
    })
    using _probes = probes.subscribe({
      changed: (uid) => lanes.add(uid),
      failed: (uid, container, message) => this.#unhealthy(uid, container, message),
    })
    try {
      await Promise.all([
        lanes.run(signal),
        this.#relistLoop(lanes, relist, signal),
        this.#eventLoop(lanes, relist, new Backoff({ baseMs: 200, maxMs: 10_000, resetAfterMs: 60_000, random, clock }), signal),
      ])
    } finally {
      await Promise.all([...this.#workers.values()].map((worker) => worker.settled()))
      this.#workers.clear()
    }
  }

  /** An event about a pod that is gone already, about a stranger, or about a sandbox of no pod, makes no worker. */
  #isOurs(uid: string): boolean {
    const { desired } = this.#deps
    if (isSpareUid(uid)) return false
    return this.#workers.has(uid) || desired.pod(uid) !== undefined || desired.isRemoved(uid)
  }

  async #work(worker: PodWorker, uid: string, { lanes, backoffs }: Shared, signal: AbortSignal): Promise<number | undefined> {
    const result = await worker.sync(signal)
    this.#metrics.syncs.inc({ result: 'ok' })
    backoffs.trouble.forget(uid)
    if (!result.gone) return result.untilMs
    this.#workers.delete(uid)
    lanes.forget(uid)
    return undefined
  }

  #unhealthy(uid: string, container: string, message: string): void {
    const pod = this.#deps.desired.pod(uid)
    if (pod === undefined) return
    const fieldPath = `spec.containers{${container}}`
    this.#deps.reporter.event(pod, { type: 'Warning', reason: 'Unhealthy', message, fieldPath })
  }

  /** The engine's events only say where to look; whenever some may have been lost everything is listed. */
  async #eventLoop(lanes: KeyedLanes, relist: Bell, backoff: Backoff, signal: AbortSignal): Promise<void> {
    const { runtime, clock, log } = this.#deps
    while (!signal.aborted) {
      try {
        for await (const event of runtime.events({ signal })) {
          if (event.type === 'gap') {
            this.#seen.gap()
            relist.ring()
            continue
          }
          this.#seen.changed(event.podUid)
          if (event.isBeginning === true) lanes.addUnlessInWork(event.podUid, ownDoingMs)
          else lanes.add(event.podUid)
        }
      } catch (err) {
        if (!isAbort(err, signal)) log.warn('engine events broke off', { err })
      }
      this.#seen.deaf()
      relist.ring()
      await sleep(clock, backoff.next('events'), signal).catch(() => undefined) // Aborted: the loop ends.
    }
  }

  async #relistLoop(lanes: KeyedLanes, bell: Bell, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#deps
    const backoff = new Backoff({ baseMs: 500, maxMs: 10_000, random, clock })
    while (!signal.aborted) {
      let delayMs = this.#options.relistMs * (0.5 + random.next() / 2)
      try {
        await this.#relist(lanes, signal)
        backoff.forget('relist')
      } catch (err) {
        if (!isAbort(err, signal)) log.warn('engine not listed', { err })
        delayMs = backoff.next('relist')
      }
      await bell.wait({ signal, clock, timeoutMs: delayMs }).catch(() => undefined) // Aborted: the loop ends.
    }
  }

  /** Wakes the workers of all pods where the engine or the desired state has something that they have not seen. */
  async #relist(lanes: KeyedLanes, signal: AbortSignal): Promise<void> {
    const { runtime, clock, desired, volumes } = this.#deps
    this.#seen.asked()
    const found = await withDeadline({ clock, ms: listDeadlineMs, signal, what: 'list' }, (inner) =>
      runtime.list({ signal: inner }),
    )
    this.#deps.sandboxes.noticed(found)
    const byPod = groupByPod(found.filter(({ identity }) => !isSpareUid(identity.podUid)))
    this.#seen.listed(byPod.keys())
    for (const pod of desired.pods()) {
      const uid = uidOf(pod)
      if (this.#isNews(uid, byPod.get(uid) ?? [])) lanes.add(uid)
    }
    const leftovers = new Set([...byPod.keys(), ...this.#workers.keys(), ...(await volumes.known({ signal }))])
    const strangers: string[] = []
    for (const uid of leftovers) {
      if (desired.pod(uid) !== undefined) continue
      if (desired.isRemoved(uid)) lanes.add(uid)
      else if (byPod.has(uid)) strangers.push(uid)
    }
    if (desired.mustSpare) desired.spare(strangers)
    this.#reportStrangers(strangers, byPod)
    this.#metrics.workers.set(this.#workers.size)
  }

  #isNews(uid: string, states: readonly ContainerState[]): boolean {
    return this.#workers.get(uid)?.isNews(states) ?? true
  }

  /** Containers that nobody told this agent to remove: left alone, and said once. */
  #reportStrangers(uids: readonly string[], byPod: ReadonlyMap<string, readonly ContainerState[]>): void {
    const { log, desired } = this.#deps
    for (const uid of this.#strangers.keys()) if (!uids.includes(uid)) this.#strangers.delete(uid)
    for (const uid of uids) {
      if (this.#strangers.has(uid)) continue
      const identity = byPod.get(uid)?.[0]?.identity
      this.#strangers.set(uid, { namespace: identity?.podNamespace ?? '', name: identity?.podName ?? '', uid })
      const containers = byPod
        .get(uid)
        ?.map(({ identity }) => `${identity.podNamespace}/${identity.podName}/${identity.container}`)
      log.warn('containers of a pod that this node was not told of are left alone', {
        podUid: uid,
        containers,
        isKnown: desired.isKnown,
      })
    }
    this.#metrics.strangers.set(uids.length)
  }
}

function groupByPod(states: readonly ContainerState[]): ReadonlyMap<string, readonly ContainerState[]> {
  const byPod = new Map<string, ContainerState[]>()
  for (const state of states) {
    const known = byPod.get(state.identity.podUid)
    if (known === undefined) byPod.set(state.identity.podUid, [state])
    else known.push(state)
  }
  return byPod
}

type PodsMetrics = ReturnType<typeof podsMetrics>

const podsMetrics = ({ metrics }: PodsDeps) => ({
  syncs: metrics.counter('pod_syncs_total', 'Looks at a pod by outcome', { result: ['ok', 'error'] }),
  workers: metrics.gauge('pod_workers', 'Pods that this agent works on'),
  strangers: metrics.gauge('stranger_pods', 'Pods with containers here that this node was not told of'),
})
