import type { AbortOptions } from '../../lib/async.ts'

/**
 * A read whose answer must be from after the question. All who ask while one is on its way share the next one, so that
 * any number of readers makes at most one request at a time.
 */
export class SharedRead<T> {
  readonly #load: (opts: AbortOptions) => Promise<T>
  readonly #gather: (() => Promise<void>) | undefined
  #next: Promise<T> | undefined
  #sent: Promise<unknown> = Promise.resolve()

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
    this.#next ??= this.#afterSent()
    const next = this.#next
    return await new Promise<T>((resolve, reject) => {
      const stop = (): void => reject(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      next.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
    })
  }

  async #afterSent(): Promise<T> {
    await this.#sent
    await this.#gather?.()
    this.#next = undefined
    const answer = this.#load({ signal: new AbortController().signal })
    this.#sent = answer.catch(() => undefined) // Who asked gets the error.
    return await answer
  }
}
