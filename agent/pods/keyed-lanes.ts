import { Bell, isAbort } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'

export interface KeyedLanesOptions {
  readonly lanes: number
  /**
   * Work that takes longer than `afterMs` holds up nobody: another lane is opened for as long as it goes on, up to
   * `most` lanes in all. One container that the engine cannot stop must not keep the other pods from being looked at.
   */
  readonly relief?: { readonly afterMs: number; readonly most: number }
  readonly clock: Clock
  /** Works on a key; gives when to do so again (monotonic), if at all. Never called for one key twice at a time. */
  work(key: string, signal: AbortSignal): Promise<number | undefined>
  /** Called when `work` threw; gives the delay before it is called again. */
  failed(key: string, err: unknown): number
}

/** A queue of keys worked by a fixed number of lanes. A key that is added while it is worked on is worked on again. */
export class KeyedLanes {
  readonly #options: KeyedLanesOptions
  readonly #waiting = new Set<string>()
  readonly #inWork = new Set<string>()
  readonly #again = new Set<string>()
  /** Worked on now, and again so much later. */
  readonly #later = new Map<string, number>()
  readonly #timers = new Map<string, Disposable>()
  readonly #bells = new Set<Bell>()
  readonly #reliefLanes = new Set<Promise<void>>()
  #reliefs = 0
  /** Works that have taken too long already. */
  #slow = 0

  constructor(options: KeyedLanesOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.size + this.#inWork.size
  }

  add(key: string): void {
    this.#timers.get(key)?.[Symbol.dispose]()
    this.#timers.delete(key)
    if (this.#inWork.has(key)) this.#again.add(key)
    else this.#waiting.add(key)
    for (const bell of this.#bells) bell.ring()
  }

  /** Like `add`; but when it is worked on now, the next work begins no sooner than so long after the end of this one. */
  addUnlessInWork(key: string, delayMs: number): void {
    if (this.#inWork.has(key)) this.#later.set(key, delayMs)
    else this.add(key)
  }

  /** No more timer for this key. */
  forget(key: string): void {
    this.#timers.get(key)?.[Symbol.dispose]()
    this.#timers.delete(key)
    this.#waiting.delete(key)
    this.#again.delete(key)
    this.#later.delete(key)
  }

  /** Works until aborted; resolves when all lanes have ended. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.lanes }, () => this.#lane(signal, () => true)))
    await Promise.all(this.#reliefLanes)
    for (const timer of this.#timers.values()) timer[Symbol.dispose]()
    this.#timers.clear()
  }

  async #lane(signal: AbortSignal, isNeeded: () => boolean): Promise<void> {
    const bell = new Bell()
    this.#bells.add(bell)
    while (!signal.aborted && isNeeded()) {
      const key = this.#take()
      if (key !== undefined) await this.#workOn(key, signal)
      else await bell.wait({ signal }).catch(() => undefined) // Aborted: the loop ends.
    }
    this.#bells.delete(bell)
  }

  #relieve(signal: AbortSignal): void {
    const { lanes, relief } = this.#options
    if (signal.aborted || relief === undefined || this.#reliefs >= this.#slow || lanes + this.#reliefs >= relief.most) return
    this.#reliefs++
    const isNeeded = (): boolean => {
      if (this.#reliefs <= this.#slow) return true
      this.#reliefs-- // At once, so that no more go than are too many.
      return false
    }
    const lane = this.#lane(signal, isNeeded).finally(() => this.#reliefLanes.delete(lane))
    this.#reliefLanes.add(lane)
  }

  #take(): string | undefined {
    for (const key of this.#waiting) {
      this.#waiting.delete(key)
      return key
    }
    return undefined
  }

  async #workOn(key: string, signal: AbortSignal): Promise<void> {
    const { clock, work, failed, relief } = this.#options
    this.#inWork.add(key)
    let untilMs: number | undefined
    let isSlow = false
    const late =
      relief &&
      clock.after(relief.afterMs, () => {
        isSlow = true
        this.#slow++
        this.#relieve(signal)
      })
    try {
      untilMs = await work(key, signal)
      const laterMs = this.#later.get(key)
      if (laterMs !== undefined) untilMs = Math.min(untilMs ?? Number.POSITIVE_INFINITY, clock.monotonicMs() + laterMs)
    } catch (err) {
      if (!isAbort(err, signal)) untilMs = clock.monotonicMs() + failed(key, err)
    } finally {
      this.#inWork.delete(key)
      this.#later.delete(key)
      late?.[Symbol.dispose]()
      if (isSlow) {
        this.#slow--
        for (const bell of this.#bells) bell.ring()
      }
    }
    if (signal.aborted) return
    if (this.#again.delete(key)) this.add(key)
    else if (untilMs !== undefined) this.#setTimer(key, untilMs - clock.monotonicMs())
  }

  #setTimer(key: string, delayMs: number): void {
    this.#timers.get(key)?.[Symbol.dispose]()
    this.#timers.set(
      key,
      this.#options.clock.after(Math.max(0, delayMs), () => this.add(key)),
    )
  }
}
