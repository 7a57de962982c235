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
  await new Promise<void>((resolve, reject) => {
    const settle = (err?: unknown): void => {
      stream.off('drain', onDrain)
      stream.off('close', onClose)
      stream.off('error', settle)
      signal.removeEventListener('abort', onAbort)
      if (err === undefined) resolve()
      else reject(err)
    }
    const onDrain = (): void => settle()
    const onClose = (): void => settle(new Error('the stream has closed'))
    const onAbort = (): void => settle(signal.reason ?? new Error('aborted'))
    stream.on('drain', onDrain)
    stream.on('close', onClose)
    stream.on('error', settle)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
