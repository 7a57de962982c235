/**
 * Time comes in through the door (law 8): whatever waits, expires or stamps takes a Clock.
 * `now` is the wall clock in epoch milliseconds, for stamps that people read; `monotonicMs` never jumps and is
 * the only base for timeouts, grace periods and back-off.
 */
export interface Clock {
  now(): number
  monotonicMs(): number
  /** Calls `run` once after `ms`. Disposing the timer before that cancels it. */
  after(ms: number, run: () => void): Disposable
}

/** The machine's clock. Only this file and the mains touch the real one. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(ms, run) {
    // Node turns a delay above 2^31-1 into 1 ms.
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), 2 ** 31 - 1))
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  },
}

/** For libraries that take a Date. */
export const dateOf = (epochMs: number): Date => new Date(epochMs)

/** RFC 3339 in UTC with whole seconds, as metav1.Time is written. */
export function formatTime(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}Z`
}

/** RFC 3339 in UTC with microseconds, as metav1.MicroTime is written. */
export function formatMicroTime(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 23)}000Z`
}

/** Epoch milliseconds of an RFC 3339 time; undefined when it is none. */
export function parseTime(text: string | undefined | null): number | undefined {
  if (text === undefined || text === null) return undefined
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}

interface FakeTimer {
  at: number
  order: number
  run: () => void
}

/** A clock that moves only when told. Timers fire in order of their time while it is stepped. */
export class FakeClock implements Clock {
  #now: number
  readonly #epoch: number
  #order = 0
  readonly #timers = new Set<FakeTimer>()

  constructor(epochMs = Date.UTC(2026, 0, 1)) {
    this.#now = epochMs
    this.#epoch = epochMs
  }

  now(): number {
    return this.#now
  }

  monotonicMs(): number {
    return this.#now - this.#epoch
  }

  after(ms: number, run: () => void): Disposable {
    const timer: FakeTimer = { at: this.#now + Math.max(ms, 0), order: this.#order++, run }
    this.#timers.add(timer)
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) }
  }

  /** Moves time forward by `ms`, firing what comes due on the way. */
  step(ms: number): void {
    const end = this.#now + ms
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
    }
    this.#now = end
  }

  /** Time of the earliest timer, in epoch milliseconds. */
  get nextTimerAt(): number | undefined {
    let at: number | undefined
    for (const timer of this.#timers) if (at === undefined || timer.at < at) at = timer.at
    return at
  }

  #next(end: number): FakeTimer | undefined {
    let first: FakeTimer | undefined
    for (const timer of this.#timers) {
      if (timer.at > end) continue
      if (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer
    }
    return first
  }
}
