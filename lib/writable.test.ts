import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { writeChunk } from './writable.ts'

const never = new AbortController().signal

function slowStream(): { stream: Writable; release: () => void } {
  const waiting: (() => void)[] = []
  const stream = new Writable({ objectMode: true, highWaterMark: 1, write: (_chunk, _encoding, done) => void waiting.push(done) })
  return { stream, release: () => waiting.shift()?.() }
}

test('a full stream holds the writer until it drains', async () => {
  const { stream, release } = slowStream()
  let isWritten = false
  const written = writeChunk(stream, 'a', { signal: never }).then(() => {
    isWritten = true
  })
  await Promise.resolve()
  expect(isWritten).toBe(false)
  release()
  await written
  expect(isWritten).toBe(true)
  expect(stream.listenerCount('drain')).toBe(0)
})

test('a stream that closes, or an abort, ends the wait', async () => {
  const { stream } = slowStream()
  const written = writeChunk(stream, 'a', { signal: never })
  stream.destroy()
  await expect(written).rejects.toThrow('closed')
  await expect(writeChunk(stream, 'b', { signal: never })).rejects.toThrow('ended')

  const stop = new AbortController()
  const waits = writeChunk(slowStream().stream, 'a', { signal: stop.signal })
  stop.abort(new Error('stop it'))
  await expect(waits).rejects.toThrow('stop it')
})
