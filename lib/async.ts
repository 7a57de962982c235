import type { Clock } from './clock.ts'

/** What every function that waits takes. Aborting rejects with the signal's reason and leaves nothing behind. */
export interface AbortOptions {
  readonly signal: AbortSignal
}

/** Waits `ms`; rejects with the signal's reason when aborted first. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason)
      return
    }
    const timer = clock.after(ms, () => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
    const stop = (): void => {
      timer[Symbol.dispose]()
      reject(signal.reason)
    }
    signal.addEventListener('abort', stop, { once: true })
  })
}

export class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
}

/**
 * Runs `work` with a signal that aborts after `ms` or with the caller's signal, and rejects then even when `work`
 * ignores its signal. `what` names the attempt in the error.
 */
export async function withDeadline<T>(
  { clock, ms, signal, what }: { clock: Clock; ms: number; signal: AbortSignal; what: string },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const own = new AbortController()
  let fail: (reason: unknown) => void = () => undefined
  const stop = (): void => fail(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  const timer = clock.after(ms, () => fail(new TimeoutError(`${what}: no answer within ${ms} ms`)))
  try {
    return await new Promise<T>((resolve, reject) => {
      fail = (reason) => {
        reject(reason)
        own.abort(reason)
      }
      work(own.signal).then(resolve, reject)
    })
  } finally {
    timer[Symbol.dispose]()
    signal.removeEventListener('abort', stop)
  }
}

/** Whether `err` is how an aborted wait ends, so not a failure of its own. */
export function isAbort(err: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (err === signal.reason || (err instanceof Error && err.name === 'AbortError'))
}

/**
 * A controller that aborts with any of the given signals as well. `AbortSignal.any` looks at its sources whenever it is
 * asked, which is felt where each event asks. Disposing it takes it off the signals.
 */
export class LinkedAbort extends AbortController implements Disposable {
  readonly #signals: readonly AbortSignal[]
  readonly #stop = (event: Event): void => this.abort((event.target as AbortSignal).reason)

  constructor(...signals: readonly AbortSignal[]) {
    super()
    this.#signals = signals
    for (const signal of signals) {
      if (signal.aborted) this.abort(signal.reason)
      else signal.addEventListener('abort', this.#stop)
    }
  }

  [Symbol.dispose](): void {
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#stop)
  }
}

/** Resolves with the first abort; never rejects. Resolves at once when already aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** A bell that one loop waits on and others ring. Rings while nobody waits are remembered once. */
export class Bell {
  #rung = false
  #wake: (() => void) | undefined

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  /** Resolves when rung (or rung since the last wait), after `timeoutMs`, or rejects on abort. */
  async wait({ signal, clock, timeoutMs }: AbortOptions & { clock?: Clock; timeoutMs?: number }): Promise<void> {
    signal.throwIfAborted()
    if (!this.#rung) {
      await new Promise<void>((resolve, reject) => {
        const timer = clock !== undefined && timeoutMs !== undefined ? clock.after(timeoutMs, () => done()) : undefined
        const done = (err?: unknown): void => {
          timer?.[Symbol.dispose]()
          signal.removeEventListener('abort', stop)
          this.#wake = undefined
          if (err === undefined) resolve()
          else reject(err)
        }
        const stop = (): void => done(signal.reason ?? new Error('aborted'))
        signal.addEventListener('abort', stop, { once: true })
        this.#wake = () => done()
      })
    }
    this.#rung = false
  }
}

/** Runs `work` over `items`, at most `limit` at a time. Rejects with the first failure after all have ended. */
export async function forEachLimit<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]()
  const failures: unknown[] = []
  const lane = async (): Promise<void> => {
    for (const item of queue) {
      try {
        await work(item)
      } catch (err) {
        failures.push(err)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane))
  if (failures.length > 0) throw failures[0]
}
