import type { Clock } from '../../lib/clock.ts'
import type { ClusterEvent } from './plugins/plugin.ts'

/** A pod that waits for a node. */
export interface QueuedPod {
  readonly key: string
  readonly uid: string
  readonly priority: number
}

interface Waiting extends QueuedPod {
  /** When it first came; the order among equals. */
  readonly sinceMs: number
  readonly order: number
  readonly attempts: number
}

interface Parked {
  readonly waiting: Waiting
  readonly plugins: ReadonlySet<string>
  readonly atMs: number
}

export interface SchedulingQueueOptions {
  readonly clock: Clock
  /** Which events could help a pod that a plugin turned away. */
  readonly wakes: ReadonlyMap<string, readonly ClusterEvent[]>
  /** Called when something has become ready to be taken. */
  readonly ready: () => void
}

const baseMs = 1000
const maxMs = 10_000
/** Parked pods are tried again after this long, whatever happened. */
export const parkedLimitMs = 5 * 60_000

/**
 * Pods that wait for a node: ready (highest priority first, then in order of arrival), backing off after a failure, or
 * parked until something happens that could help (Kubernetes: the scheduling queue). Bounded by the pods there are.
 */
export class SchedulingQueue implements Disposable {
  readonly #options: SchedulingQueueOptions
  readonly #ready = new Map<string, Waiting>()
  readonly #backingOff = new Map<string, { readonly waiting: Waiting; readonly timer: Disposable }>()
  readonly #parked = new Map<string, Parked>()
  /** Being decided or bound; events that come meanwhile are remembered. */
  readonly #taken = new Map<string, Waiting>()
  readonly #missed = new Map<string, Set<ClusterEvent>>()
  #order = 0

  constructor(options: SchedulingQueueOptions) {
    this.#options = options
  }

  get depth(): { readonly ready: number; readonly backoff: number; readonly parked: number } {
    return { ready: this.#ready.size, backoff: this.#backingOff.size, parked: this.#parked.size }
  }

  /** A new pod, or one whose own change may help. */
  add(pod: QueuedPod): void {
    const known = this.#find(pod.key)
    if (known !== undefined && known.uid === pod.uid) {
      if (this.#parked.has(pod.key)) this.#retry({ ...known, ...pod })
      return
    }
    this.delete(pod.key)
    this.#ready.set(pod.key, { ...pod, sinceMs: this.#options.clock.monotonicMs(), order: this.#order++, attempts: 0 })
    this.#options.ready()
  }

  /** It is bound, finished or gone. */
  delete(key: string): void {
    this.#ready.delete(key)
    this.#parked.delete(key)
    this.#taken.delete(key)
    this.#missed.delete(key)
    this.#backingOff.get(key)?.timer[Symbol.dispose]()
    this.#backingOff.delete(key)
  }

  /** The next pod to decide on. It stays taken until `parked`, `failed` or `delete`. */
  take(): QueuedPod | undefined {
    let first: Waiting | undefined
    for (const one of this.#ready.values()) if (first === undefined || isBefore(one, first)) first = one
    if (first === undefined) return undefined
    this.#ready.delete(first.key)
    this.#taken.set(first.key, first)
    return first
  }

  /** It fits nowhere; `plugins` turned the nodes away. */
  park(key: string, plugins: ReadonlySet<string>): void {
    const waiting = this.#untake(key)
    if (waiting === undefined) return
    const missed = this.#missed.get(key)
    this.#missed.delete(key)
    // What happened while it was looked at counts as well.
    if (missed !== undefined && [...missed].some((event) => this.#helps(event, plugins))) this.#retry(waiting)
    else this.#parked.set(key, { waiting, plugins, atMs: this.#options.clock.monotonicMs() })
  }

  /** Binding did not work: again after a while. */
  fail(key: string): void {
    const waiting = this.#untake(key)
    this.#missed.delete(key)
    if (waiting !== undefined) this.#retry(waiting)
  }

  /** Wakes the parked pods that an event could help. */
  wake(event: ClusterEvent): void {
    for (const key of this.#taken.keys()) {
      const missed = this.#missed.get(key) ?? new Set<ClusterEvent>()
      this.#missed.set(key, missed.add(event))
    }
    for (const { waiting, plugins } of this.#parked.values()) if (this.#helps(event, plugins)) this.#retry(waiting)
  }

  /** Tries again what has been parked for long: a lost event only delays (law 5). */
  flush(): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const { waiting, atMs } of this.#parked.values()) if (nowMs - atMs >= parkedLimitMs) this.#retry(waiting)
  }

  [Symbol.dispose](): void {
    for (const { timer } of this.#backingOff.values()) timer[Symbol.dispose]()
    this.#backingOff.clear()
  }

  #find(key: string): Waiting | undefined {
    return this.#ready.get(key) ?? this.#taken.get(key) ?? this.#parked.get(key)?.waiting ?? this.#backingOff.get(key)?.waiting
  }

  #untake(key: string): Waiting | undefined {
    const waiting = this.#taken.get(key)
    this.#taken.delete(key)
    return waiting === undefined ? undefined : { ...waiting, attempts: waiting.attempts + 1 }
  }

  #helps(event: ClusterEvent, plugins: ReadonlySet<string>): boolean {
    // No plugin said no: there was no node at all.
    if (plugins.size === 0) return event === 'NodeAdded' || event === 'NodeChanged'
    return [...plugins].some((plugin) => this.#options.wakes.get(plugin)?.includes(event) === true)
  }

  #retry(waiting: Waiting): void {
    this.#parked.delete(waiting.key)
    const afterMs = waiting.attempts === 0 ? 0 : Math.min(maxMs, baseMs * 2 ** (waiting.attempts - 1))
    const timer = this.#options.clock.after(afterMs, () => {
      this.#backingOff.delete(waiting.key)
      this.#ready.set(waiting.key, waiting)
      this.#options.ready()
    })
    this.#backingOff.set(waiting.key, { waiting, timer })
  }
}

const isBefore = (a: Waiting, b: Waiting): boolean => (a.priority !== b.priority ? a.priority > b.priority : a.order < b.order)
