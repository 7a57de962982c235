import process from 'node:process'
import type { AbortOptions } from './async.ts'

/** Asked before work of which there may be much at once, so that it does not keep heartbeats and timers waiting. */
export interface Turns {
  /** Whether this turn of the event loop has time for more. */
  isYoung(): boolean
  /** Calls back in the next turn. */
  next(run: () => void): void
}

/** So much work at a time; the rest waits in the order of asking, and what is aborted leaves at once. */
export class Slots {
  readonly #most: number
  readonly #turns: Turns | undefined
  /** In the order of asking. Bounded by those who ask. */
  readonly #waiting = new Set<{ begin(): void }>()
  #active = 0
  /** A later call of `#begin` is on its way. */
  #isBeginning = false

  /** Work begins only while a turn is young, where `turns` is given. Without them the order of events is that of promises. */
  constructor(most: number, turns?: Turns) {
    this.#most = most
    this.#turns = turns
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Rejects with the signal's reason when that is aborted before the work has begun. */
  run<T>({ signal }: AbortOptions, work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      const stop = (): void => {
        this.#waiting.delete(one)
        reject(signal.reason)
      }
      const one = {
        begin: () => {
          signal.removeEventListener('abort', stop)
          // Never rejects: both outcomes are the caller's.
          void Promise.try(work)
            .then(resolve, reject)
            .finally(() => this.#ended())
        },
      }
      signal.addEventListener('abort', stop, { once: true })
      this.#waiting.add(one)
      if (!this.#isBeginning) this.#begin()
    })
  }

  #ended(): void {
    this.#active--
    if (!this.#isBeginning) this.#begin()
  }

  /** One after the other: each is followed as far as it gets by itself before the time is looked at. */
  #begin(): void {
    this.#isBeginning = false
    for (const one of this.#waiting) {
      if (this.#active >= this.#most) return
      if (this.#turns !== undefined && !this.#turns.isYoung()) {
        this.#isBeginning = true
        this.#turns.next(() => this.#begin())
        return
      }
      this.#waiting.delete(one)
      this.#active++
      one.begin()
      if (this.#turns === undefined) continue
      this.#isBeginning = true
      process.nextTick(() => this.#begin())
      return
    }
  }
}

/** Those of this process. A turn is young for `budgetMs` after it was first asked about. */
export function processTurns(budgetMs: number, nowMs: () => number = () => performance.now()): Turns {
  let startedMs: number | undefined
  return {
    isYoung() {
      const now = nowMs()
      if (startedMs === undefined) {
        startedMs = now
        setImmediate(() => {
          startedMs = undefined
        })
      }
      return now - startedMs < budgetMs
    },
    next: (run) => void setImmediate(run),
  }
}
