import { expired } from '../../api/meta/status.ts'
import { type AbortOptions, Bell } from '../../lib/async.ts'
import type { CacheBatch, CacheEvent } from './watch-cache.ts'

/** One reader of one kind's events, with its bounded buffer. */
export class Watcher {
  /** Hears of how far the watch has come only now and then. */
  readonly rarely: boolean
  readonly #limit: number
  readonly #bell = new Bell()
  /** As they were handed in: readers of the same share them, and what is made from them. */
  #waiting: (readonly CacheEvent[])[] = []
  #count = 0
  /** Everything up to here was given, or waits in `#waiting`. */
  #revision: number
  #given: number
  #failure: Error | undefined

  constructor({ afterRevision, limit, rarely }: { afterRevision: number; limit: number; rarely: boolean }) {
    this.rarely = rarely
    this.#limit = limit
    this.#revision = afterRevision
    this.#given = afterRevision
  }

  /** Returns false when the reader is too far behind and was cut off. */
  push(events: readonly CacheEvent[], revision: number): boolean {
    if (this.#failure !== undefined || revision <= this.#revision) return true
    // A revision is given as a whole, so that one which is larger than the buffer still gets through an empty one.
    if (this.#count > 0 && this.#count + events.length > this.#limit) {
      this.fail(expired(`the watch fell more than ${this.#limit} events behind: list again`))
      return false
    }
    const isAllNew = (events[0]?.revision ?? 0) > this.#revision
    const fresh = isAllNew ? events : events.filter((event) => event.revision > this.#revision)
    if (fresh.length > 0) this.#waiting.push(fresh)
    this.#count += fresh.length
    this.#revision = revision
    this.#bell.ring()
    return true
  }

  fail(error: Error): void {
    this.#failure ??= error
    this.#waiting = []
    this.#count = 0
    this.#bell.ring()
  }

  /** What waits, if anything does. Throws when the reader was cut off. */
  take(): CacheBatch | undefined {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#revision === this.#given) return undefined
    const [first = [], ...others] = this.#waiting
    this.#waiting = []
    this.#count = 0
    this.#given = this.#revision
    return { events: others.length === 0 ? first : [first, ...others].flat(), revision: this.#given }
  }

  wait(opts: AbortOptions): Promise<void> {
    return this.#bell.wait(opts)
  }
}
