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

/**
 * The machine's clock; in tests (SKIFF_DEBUG_CHECKS) its wall clock is off by the milliseconds that a file says now,
 * because the machine's own one is everybody's.
 */
export function clockOf(env: Readonly<Record<string, string | undefined>>, read: (file: string) => string): Clock {
  const file = env['SKIFF_CLOCK']
  if (file === undefined || file === '' || env['SKIFF_DEBUG_CHECKS'] !== '1') return systemClock
  let offsetMs = 0
  let readMs = Number.NEGATIVE_INFINITY
  return {
    ...systemClock,
    now: () => {
      if (performance.now() - readMs > 200) {
        readMs = performance.now()
        offsetMs = Number(read(file)) || 0
      }
      return Date.now() + offsetMs
    },
  }
}

/** `ms` from now as the machine's own clock counts, by which libraries judge the deadlines that they are given. */
export const machineTimeIn = (ms: number): number => Date.now() + ms

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

class FakeTimer implements Disposable {
  readonly at: number
  readonly order: number
  /** undefined: it was cancelled, and lies in the heap until its turn. */
  run: (() => void) | undefined

  constructor(at: number, order: number, run: () => void) {
    this.at = at
    this.order = order
    this.run = run
  }

  [Symbol.dispose](): void {
    this.run = undefined
  }
}

/** A clock that moves only when told. Timers fire in order of their time while it is stepped. */
export class FakeClock implements Clock {
  #now: number
  readonly #epoch: number
  #order = 0
  readonly #timers = new TimerHeap()

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
    const timer = new FakeTimer(this.#now + Math.max(ms, 0), this.#order++, run)
    this.#timers.add(timer)
    return timer
  }

  /** Moves time forward by `ms`, firing what comes due on the way. */
  step(ms: number): void {
    const end = this.#now + ms
    for (let next = this.#timers.first; next !== undefined && next.at <= end; next = this.#timers.first) {
      const { run } = next
      next.run = undefined
      this.#now = Math.max(this.#now, next.at)
      run?.()
    }
    this.#now = end
  }

  /** Time of the earliest timer, in epoch milliseconds. */
  get nextTimerAt(): number | undefined {
    return this.#timers.first?.at
  }
}

/** Timers by time, those of one time in the order in which they were set. */
class TimerHeap {
  /** Each is due no later than the two at twice its place. Begins at place 1. */
  readonly #heap: (FakeTimer | undefined)[] = [undefined]

  add(timer: FakeTimer): void {
    let place = this.#heap.length
    this.#heap.push(timer)
    for (let above = place >> 1; above > 0 && isBefore(timer, this.#heap[above]); above = place >> 1) {
      this.#heap[place] = this.#heap[above]
      place = above
    }
    this.#heap[place] = timer
  }

  /** The next one that was not cancelled. */
  get first(): FakeTimer | undefined {
    while (this.#heap[1] !== undefined && this.#heap[1].run === undefined) this.#removeFirst()
    return this.#heap[1]
  }

  #removeFirst(): void {
    const last = this.#heap.pop()
    if (this.#heap.length === 1 || last === undefined) return
    let place = 1
    for (;;) {
      const [left, right] = [this.#heap[2 * place], this.#heap[2 * place + 1]]
      const isLeft = right === undefined || (left !== undefined && isBefore(left, right))
      const next = isLeft ? left : right
      if (next === undefined || !isBefore(next, last)) break
      this.#heap[place] = next
      place = isLeft ? 2 * place : 2 * place + 1
    }
    this.#heap[place] = last
  }
}

const isBefore = (one: FakeTimer, other: FakeTimer | undefined): boolean =>
  other === undefined || one.at < other.at || (one.at === other.at && one.order < other.order)
