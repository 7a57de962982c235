import type { AbortOptions } from '../lib/async.ts'
import type { Clock } from '../lib/clock.ts'

interface Later {
  readonly atMs: number
  readonly timer: Disposable
}

/**
 * Keys to be worked on. A key is ready, or active, or active and to be done again: it is never worked on twice at once,
 * and no `add` is lost. Bounded by the number of keys there are. Any number of workers.
 */
export class WorkQueue {
  readonly #clock: Clock
  readonly #ready = new Set<string>()
  readonly #active = new Set<string>()
  /** Active, and changed meanwhile. */
  readonly #again = new Set<string>()
  readonly #later = new Map<string, Later>()
  readonly #idle: ((key: string) => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Keys that wait for a worker. */
  get depth(): number {
    return this.#ready.size + this.#again.size
  }

  get activeCount(): number {
    return this.#active.size
  }

  /** Keys that wait for their time. */
  get laterCount(): number {
    return this.#later.size
  }

  add(key: string): void {
    if (this.#active.has(key)) {
      this.#again.add(key)
      return
    }
    const worker = this.#ready.has(key) ? undefined : this.#idle.shift()
    if (worker === undefined) this.#ready.add(key)
    else {
      this.#active.add(key)
      worker(key)
    }
  }

  /** Adds after `ms`. Of several times for a key the earliest counts. */
  addAfter(key: string, ms: number): void {
    if (ms <= 0) {
      this.add(key)
      return
    }
    const atMs = this.#clock.monotonicMs() + ms
    const known = this.#later.get(key)
    if (known !== undefined && known.atMs <= atMs) return
    known?.timer[Symbol.dispose]()
    const timer = this.#clock.after(ms, () => {
      this.#later.delete(key)
      this.add(key)
    })
    this.#later.set(key, { atMs, timer })
  }

  /** Waits for a key. It is the caller's until `done(key)`, which must be called. */
  take({ signal }: AbortOptions): Promise<string> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      for (const key of this.#ready) {
        this.#ready.delete(key)
        this.#active.add(key)
        resolve(key)
        return
      }
      const stop = (): void => {
        this.#idle.splice(this.#idle.indexOf(give), 1)
        reject(signal.reason)
      }
      const give = (key: string): void => {
        signal.removeEventListener('abort', stop)
        resolve(key)
      }
      this.#idle.push(give)
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  done(key: string): void {
    this.#active.delete(key)
    if (this.#again.delete(key)) this.add(key)
  }

  /** Drops the timers. */
  [Symbol.dispose](): void {
    for (const { timer } of this.#later.values()) timer[Symbol.dispose]()
    this.#later.clear()
  }
}
