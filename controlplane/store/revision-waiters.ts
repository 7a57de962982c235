import { timeout } from '../../api/meta/status.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { ProgressInterest } from './store.ts'

interface Waiter {
  readonly revision: number
  readonly resolve: () => void
}

/** Those who wait for something to reach a revision, and word of it for whoever can hurry that. */
export class RevisionWaiters implements ProgressInterest {
  readonly #clock: Clock
  readonly #waiters = new Set<Waiter>()
  #onWait: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isAny(): boolean {
    return this.#waiters.size > 0
  }

  onWait(call: () => void): Disposable {
    this.#onWait = call
    const stop = (): void => {
      if (this.#onWait === call) this.#onWait = undefined
    }
    return { [Symbol.dispose]: stop }
  }

  /** Without `ms` it waits for as long as it takes. Rejects with the signal's reason, or with Timeout saying `what`. */
  wait(revision: number, { signal, ms, what }: AbortOptions & { ms?: number; what: () => string }): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const end = (): void => {
        this.#waiters.delete(waiter)
        timer?.[Symbol.dispose]()
        signal.removeEventListener('abort', stop)
      }
      const waiter = {
        revision,
        resolve: () => {
          end()
          resolve()
        },
      }
      const stop = (): void => {
        end()
        reject(signal.reason)
      }
      const late = (): void => {
        end()
        reject(timeout(`waited ${ms} ms for ${what()}`))
      }
      const timer = ms === undefined ? undefined : this.#clock.after(ms, late)
      this.#waiters.add(waiter)
      signal.addEventListener('abort', stop, { once: true })
      this.#onWait?.()
    })
  }

  reached(revision: number): void {
    for (const waiter of this.#waiters) if (waiter.revision <= revision) waiter.resolve()
  }
}
