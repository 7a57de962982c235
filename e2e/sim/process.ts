import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'

/** Where a call is when its process dies. */
export type Moment = 'before' | 'after'

export interface ProcessOptions {
  readonly name: string
  readonly clock: Clock
  readonly random: Random
  /** Called once when the process has died. */
  readonly died: (process: SimProcess) => void
}

/** A new one each time: what waits for it can be forgotten together with it. */
const never = (): Promise<never> => new Promise(() => undefined)
/** Shares of calls that take a moment, and a long moment. All others answer at once. */
const slowShare = 0.15
const verySlowShare = 0.005
const slowMs = 15
const verySlowMs = 900

/**
 * A pretended operating-system process. Everything by which what runs in it has an effect, or hears of one, goes through
 * here: its clock, and `call`. When it is killed nothing of that ever happens again, at whatever await its code stands;
 * while it is paused everything waits.
 */
export class SimProcess {
  readonly name: string
  readonly clock: Clock
  readonly random: Random
  readonly #world: Clock
  readonly #died: (process: SimProcess) => void
  #state: 'running' | 'paused' | 'dead' = 'running'
  #wallOffsetMs = 0
  #waiting: (() => void)[] = []
  #deathIn: { calls: number; readonly moment: Moment; readonly struck: () => void } | undefined

  constructor({ name, clock, random, died }: ProcessOptions) {
    this.name = name
    this.random = random
    this.#world = clock
    this.#died = died
    this.clock = {
      now: () => Math.round(clock.now() + this.#wallOffsetMs),
      monotonicMs: () => clock.monotonicMs(),
      after: (ms, run) => clock.after(ms, () => this.#whenRunning(run)),
    }
  }

  get isDead(): boolean {
    return this.#state === 'dead'
  }

  get isRunning(): boolean {
    return this.#state === 'running'
  }

  kill(): void {
    if (this.isDead) return
    this.#state = 'dead'
    this.#waiting = []
    this.#died(this)
  }

  /** Dies at its `calls`th call from now; `struck` is told when it comes to that. */
  killAt(calls: number, moment: Moment, struck: () => void = () => undefined): void {
    this.#deathIn = { calls, moment, struck }
  }

  disarm(): void {
    this.#deathIn = undefined
  }

  pause(): void {
    if (this.isRunning) this.#state = 'paused'
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'running'
    for (const run of this.#waiting.splice(0)) this.#whenRunning(run)
  }

  /** Its wall clock differs from the world's from now on; its monotonic clock never does. */
  setWallClock(offsetMs: number): void {
    this.#wallOffsetMs = offsetMs
  }

  /** An effect outside the process, or something that it hears from outside. */
  async call<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#enter(signal)
    const dies = this.#isDying()
    if (dies === 'before') return this.#die()
    let result: T
    try {
      result = await work()
    } catch (err) {
      await this.#whole()
      throw err
    }
    if (dies === 'after') return this.#die()
    await this.#whole()
    return result
  }

  /** The same for what comes by itself: messages, events. Rejects with the signal's reason. */
  async hear<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } finally {
      await this.#whole()
    }
  }

  #isDying(): Moment | undefined {
    if (this.#deathIn === undefined || --this.#deathIn.calls > 0) return undefined
    const { moment, struck } = this.#deathIn
    this.#deathIn = undefined
    struck()
    return moment
  }

  #die(): Promise<never> {
    this.kill()
    return never()
  }

  async #enter(signal: AbortSignal): Promise<void> {
    await this.#whole()
    signal.throwIfAborted()
    const delayMs = this.#delayMs()
    if (delayMs > 0) await this.#delay(delayMs, signal)
    await this.#whole()
    signal.throwIfAborted()
  }

  /** To be awaited: nothing, while the process runs. Calls are too many for a promise each. */
  #whole(): Promise<void> | undefined {
    return this.#state === 'running' ? undefined : this.#leave()
  }

  async #leave(): Promise<void> {
    if (this.#state === 'dead') await never()
    if (this.#state === 'paused') await new Promise<void>((resolve) => this.#whenRunning(resolve))
  }

  #delayMs(): number {
    const dice = this.random.next()
    if (dice < verySlowShare) return this.random.next() * verySlowMs
    return dice < slowShare ? this.random.next() * slowMs : 0
  }

  #delay(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        timer[Symbol.dispose]()
        reject(signal.reason)
      }
      const timer = this.#world.after(ms, () => {
        signal.removeEventListener('abort', stop)
        resolve()
      })
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  #whenRunning(run: () => void): void {
    if (this.#state === 'running') run()
    else if (this.#state === 'paused') this.#waiting.push(() => run())
  }
}
