import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { writeChunk, writeThrough } from './writable.ts'

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

test('bytes may be overwritten when the stream has taken them on, not before', async () => {
  const { stream, release } = slowStream()
  let isWritten = false
  const written = writeThrough(stream, new Uint8Array(1), { signal: never }).then(() => {
    isWritten = true
  })
  await new Promise((done) => setImmediate(done))
  expect(isWritten).toBe(false)
  release()
  await written
  expect(stream.listenerCount('close') + stream.listenerCount('error')).toBe(0)
})

test('bytes that a stream fails to take, or an abort, end the wait', async () => {
  const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('broken')) })
  broken.on('error', () => undefined)
  await expect(writeThrough(broken, new Uint8Array(1), { signal: never })).rejects.toThrow('broken')
  await expect(writeThrough(broken, new Uint8Array(1), { signal: never })).rejects.toThrow('ended')
  const { stream } = slowStream()
  const gone = writeThrough(stream, new Uint8Array(1), { signal: never })
  stream.destroy()
  await expect(gone).rejects.toThrow('closed')
  const stop = new AbortController()
  const waits = writeThrough(slowStream().stream, new Uint8Array(1), { signal: stop.signal })
  stop.abort(new Error('stop it'))
  await expect(waits).rejects.toThrow('stop it')
})
