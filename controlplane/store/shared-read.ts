import type { AbortOptions } from '../../lib/async.ts'

/**
 * Reads under way at a time. With one, all readers go in step and wait for it together, and the processors idle
 * meanwhile: four gave a fifth more GETs per second (bench/api), and six no more than that.
 */
const atOnce = 4

/**
 * A read whose answer must be from after the question. All who ask before the next one is sent share it, and only
 * `atOnce` are under way, however many readers there are.
 */
export class SharedRead<T> {
  readonly #load: (opts: AbortOptions) => Promise<T>
  readonly #gather: (() => Promise<void>) | undefined
  #next: Promise<T> | undefined
  #underWay = 0
  #whenFree: (() => void) | undefined

  /**
   * `load` must end by its own deadline: the signal that it gets belongs to no caller. `gather` is waited for before
   * each read: whoever asks meanwhile shares it.
   */
  constructor(load: (opts: AbortOptions) => Promise<T>, gather?: () => Promise<void>) {
    this.#load = load
    this.#gather = gather
  }

  /** Rejects with the signal's reason on abort; others who share the read are not disturbed. */
  async read({ signal }: AbortOptions): Promise<T> {
    signal.throwIfAborted()
    this.#next ??= this.#loadNext()
    const next = this.#next
    return await new Promise<T>((resolve, reject) => {
      const stop = (): void => reject(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      next.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
    })
  }

  async #loadNext(): Promise<T> {
    if (this.#underWay === atOnce) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#whenFree = resolve
      await promise
    }
    await this.#gather?.()
    this.#next = undefined
    this.#underWay++
    try {
      return await this.#load({ signal: new AbortController().signal })
    } finally {
      this.#underWay--
      this.#whenFree?.()
      this.#whenFree = undefined
    }
  }
}
