import type { Writable } from 'node:stream'
import type { AbortOptions } from './async.ts'

/**
 * Writes one chunk and waits until the stream wants more (socket back-pressure). Rejects when the stream has ended,
 * fails or closes meanwhile, or on abort.
 */
export async function writeChunk(stream: Writable, chunk: unknown, { signal }: AbortOptions): Promise<void> {
  signal.throwIfAborted()
  if (stream.destroyed || stream.writableEnded) throw new Error('the stream has ended')
  if (stream.write(chunk)) return
  await until(stream, { signal }, (done) => {
    stream.on('drain', done)
    return () => stream.off('drain', done)
  })
}

/**
 * Writes bytes and waits until the stream has taken them on, so that they may be overwritten. Rejects as `writeChunk`
 * does; then the stream may still look at them.
 */
export async function writeThrough(stream: Writable, bytes: Uint8Array, { signal }: AbortOptions): Promise<void> {
  signal.throwIfAborted()
  if (stream.destroyed || stream.writableEnded) throw new Error('the stream has ended')
  await until(stream, { signal }, (done, fail) => {
    stream.write(bytes, (err) => (err === null || err === undefined ? done() : fail(err)))
    return () => undefined
  })
}

/** Until `begin` says so, gives back how to stop listening. */
async function until(
  stream: Writable,
  { signal }: AbortOptions,
  begin: (done: () => void, fail: (err: unknown) => void) => () => void,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let stop = (): void => undefined
    const settle = (err?: unknown): void => {
      stop()
      stream.off('close', onClose)
      stream.off('error', settle)
      signal.removeEventListener('abort', onAbort)
      if (err === undefined) resolve()
      else reject(err)
    }
    const onClose = (): void => settle(new Error('the stream has closed'))
    const onAbort = (): void => settle(signal.reason ?? new Error('aborted'))
    stream.on('close', onClose)
    stream.on('error', settle)
    signal.addEventListener('abort', onAbort, { once: true })
    stop = begin(() => settle(), settle)
  })
}
