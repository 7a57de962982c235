import type { Clock } from '../../lib/clock.ts'
import { Heap } from '../../lib/heap.ts'
import type { ClusterEvent } from './plugins/plugin.ts'

/** A pod that waits for a node. */
export interface QueuedPod {
  readonly key: string
  readonly uid: string
  readonly priority: number
}

interface Waiting extends QueuedPod {
  /** When it first came. */
  readonly order: number
  readonly attempts: number
}

interface Parked {
  readonly waiting: Waiting
  readonly group: string
  readonly atMs: number
}

/** Parked pods that the same plugins turned away. */
interface Group {
  readonly plugins: ReadonlySet<string>
  readonly keys: Set<string>
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
/** Entries without a pod that the order may have before it is made anew. */
const spareOrder = 1000
/** Parked pods are tried again after this long, whatever happened. */
export const parkedLimitMs = 5 * 60_000

/**
 * Pods that wait for a node: ready (highest priority first, then in order of arrival), backing off after a failure, or
 * parked until something happens that could help (Kubernetes: the scheduling queue). Bounded by the pods there are.
 */
export class SchedulingQueue implements Disposable {
  readonly #options: SchedulingQueueOptions
  readonly #ready = new Map<string, Waiting>()
  /** Those that are ready, and some that no longer are: who is taken is looked up in `#ready`. */
  #order = new Heap<Waiting>(isBefore)
  readonly #backingOff = new Map<string, { readonly waiting: Waiting; readonly timer: Disposable }>()
  readonly #parked = new Map<string, Parked>()
  /** The same by what turned them away, so that an event is compared once for all alike. */
  readonly #groups = new Map<string, Group>()
  /** Being decided or bound; events that come meanwhile are remembered. */
  readonly #taken = new Map<string, Waiting>()
  readonly #missed = new Map<string, Set<ClusterEvent>>()
  #count = 0

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
    this.#makeReady({ ...pod, order: this.#count++, attempts: 0 })
  }

  /** It is bound, finished or gone. */
  delete(key: string): void {
    this.#ready.delete(key)
    this.#unpark(key)
    this.#taken.delete(key)
    this.#missed.delete(key)
    this.#backingOff.get(key)?.timer[Symbol.dispose]()
    this.#backingOff.delete(key)
  }

  /** The next pod to decide on. It stays taken until `parked`, `failed` or `delete`. */
  take(): QueuedPod | undefined {
    for (let first = this.#order.pop(); first !== undefined; first = this.#order.pop()) {
      if (this.#ready.get(first.key) !== first) continue
      this.#ready.delete(first.key)
      this.#taken.set(first.key, first)
      return first
    }
    return undefined
  }

  /** It fits nowhere; `plugins` turned the nodes away. */
  park(key: string, plugins: ReadonlySet<string>): void {
    const waiting = this.#untake(key)
    if (waiting === undefined) return
    const missed = this.#missed.get(key)
    this.#missed.delete(key)
    // What happened while it was looked at counts as well.
    if (missed !== undefined && [...missed].some((event) => this.#helps(event, plugins))) this.#retry(waiting)
    else this.#park({ waiting, group: groupName(plugins), atMs: this.#options.clock.monotonicMs() }, plugins)
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
    for (const { plugins, keys } of this.#groups.values()) {
      if (!this.#helps(event, plugins)) continue
      for (const key of keys) this.#retry(this.#parked.get(key)?.waiting)
    }
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

  #retry(waiting: Waiting | undefined): void {
    if (waiting === undefined) return
    this.#unpark(waiting.key)
    const afterMs = waiting.attempts === 0 ? 0 : Math.min(maxMs, baseMs * 2 ** (waiting.attempts - 1))
    const timer = this.#options.clock.after(afterMs, () => {
      this.#backingOff.delete(waiting.key)
      this.#makeReady(waiting)
    })
    this.#backingOff.set(waiting.key, { waiting, timer })
  }

  #makeReady(waiting: Waiting): void {
    this.#ready.set(waiting.key, waiting)
    this.#order.push(waiting)
    // Of pods that were deleted while they waited.
    if (this.#order.size > 2 * this.#ready.size + spareOrder) this.#order = heapOf(this.#ready.values())
    this.#options.ready()
  }

  #park(parked: Parked, plugins: ReadonlySet<string>): void {
    const { key } = parked.waiting
    this.#parked.set(key, parked)
    const group = this.#groups.get(parked.group) ?? { plugins, keys: new Set<string>() }
    this.#groups.set(parked.group, group)
    group.keys.add(key)
  }

  #unpark(key: string): void {
    const parked = this.#parked.get(key)
    if (parked === undefined) return
    this.#parked.delete(key)
    const group = this.#groups.get(parked.group)
    group?.keys.delete(key)
    if (group?.keys.size === 0) this.#groups.delete(parked.group)
  }
}

const groupName = (plugins: ReadonlySet<string>): string => [...plugins].sort().join()

function heapOf(all: Iterable<Waiting>): Heap<Waiting> {
  const heap = new Heap<Waiting>(isBefore)
  for (const one of all) heap.push(one)
  return heap
}

function isBefore(a: Waiting, b: Waiting): boolean {
  return a.priority !== b.priority ? a.priority > b.priority : a.order < b.order
}
