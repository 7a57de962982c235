import type { AbortOptions } from './async.ts'

/** Ends a BoundedQueue whose reader fell behind. */
export class QueueOverflow extends Error {
  override readonly name = 'QueueOverflow'
}

/**
 * A bounded hand-over from one writer to one reader. When it is full the reader is cut off (its next read throws
 * QueueOverflow, or the error given to `onOverflow`), the writer is never slowed.
 */
export class BoundedQueue<T> {
  readonly #items: T[] = []
  readonly #limit: number
  readonly #onOverflow: () => Error
  #ended: { error?: unknown } | undefined
  #wake: (() => void) | undefined

  constructor(limit: number, onOverflow: () => Error = () => new QueueOverflow(`reader fell ${limit} items behind`)) {
    this.#limit = limit
    this.#onOverflow = onOverflow
  }

  get size(): number {
    return this.#items.length
  }

  get isEnded(): boolean {
    return this.#ended !== undefined
  }

  push(item: T): void {
    if (this.#ended !== undefined) return
    if (this.#items.length >= this.#limit) {
      this.fail(this.#onOverflow())
      return
    }
    this.#items.push(item)
    this.#wake?.()
  }

  /** No more items; the reader gets what is there, then the end. */
  end(): void {
    this.#ended ??= {}
    this.#wake?.()
  }

  /** The reader gets what is there, then `error`. */
  fail(error: unknown): void {
    this.#ended ??= { error }
    this.#wake?.()
  }

  /** Reads until the end. Aborting rejects the pending read with the signal's reason. */
  async *read({ signal }: AbortOptions): AsyncGenerator<T, void, void> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) {
        yield item
        continue
      }
      if (this.#ended !== undefined) {
        if ('error' in this.#ended) throw this.#ended.error
        return
      }
      signal.throwIfAborted()
      await new Promise<void>((resolve, reject) => {
        const stop = (): void => {
          this.#wake = undefined
          reject(signal.reason)
        }
        this.#wake = () => {
          this.#wake = undefined
          signal.removeEventListener('abort', stop)
          resolve()
        }
        signal.addEventListener('abort', stop, { once: true })
      })
    }
  }
}
