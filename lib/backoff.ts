import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

export interface BackoffOptions {
  readonly baseMs: number
  readonly maxMs: number
  readonly factor?: number
  /** Share of each delay that is random: 0.2 gives 80 % to 120 %. */
  readonly jitter?: number
  /** A key that asked for nothing for this long starts over. */
  readonly resetAfterMs?: number
  readonly random: Random
  readonly clock: Clock
}

/** Exponential delays per key. Bounded: keys that have come to rest are dropped when `maxKeys` is exceeded. */
export class Backoff {
  readonly #options: BackoffOptions
  readonly #attempts = new Map<string, { count: number; atMs: number }>()
  readonly #maxKeys = 10_000

  constructor(options: BackoffOptions) {
    this.#options = options
  }

  /** The delay in milliseconds before the next attempt at `key`; grows with each call until `forget`. */
  next(key: string): number {
    const { baseMs, maxMs, factor = 2, jitter = 0.1, resetAfterMs, random, clock } = this.#options
    const last = this.#attempts.get(key)
    const nowMs = clock.monotonicMs()
    const isStale = last !== undefined && resetAfterMs !== undefined && nowMs - last.atMs > resetAfterMs
    const count = last === undefined || isStale ? 0 : last.count
    this.#attempts.delete(key)
    this.#attempts.set(key, { count: count + 1, atMs: nowMs })
    if (this.#attempts.size > this.#maxKeys) this.#dropOldest()
    const delay = Math.min(maxMs, baseMs * factor ** Math.min(count, 64))
    return delay * (1 + jitter * (2 * random.next() - 1))
  }

  /** Attempts counted for `key` so far. */
  attempts(key: string): number {
    return this.#attempts.get(key)?.count ?? 0
  }

  forget(key: string): void {
    this.#attempts.delete(key)
  }

  #dropOldest(): void {
    for (const key of this.#attempts.keys()) {
      this.#attempts.delete(key)
      return
    }
  }
}
