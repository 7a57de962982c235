import { type AbortOptions, Bell } from './async.ts'

/**
 * A box per key in which the newest value overwrites the unsent one, so a slow reader can never build a backlog
 * (bounded by the number of keys). One reader.
 */
export class LatestByKey<V> {
  readonly #unsent = new Map<string, V>()
  readonly #bell = new Bell()

  set(key: string, value: V): void {
    this.#unsent.set(key, value)
    this.#bell.ring()
  }

  delete(key: string): void {
    this.#unsent.delete(key)
  }

  /** Puts back what could not be sent, unless something newer has come since. */
  putBack(key: string, value: V): void {
    if (this.#unsent.has(key)) return
    this.set(key, value)
  }

  get size(): number {
    return this.#unsent.size
  }

  /** Waits until something is there and takes all of it. */
  async take(opts: AbortOptions): Promise<ReadonlyMap<string, V>> {
    while (this.#unsent.size === 0) await this.#bell.wait(opts)
    const taken = new Map(this.#unsent)
    this.#unsent.clear()
    return taken
  }
}
