import fc from 'fast-check'
import { expect, test } from 'vitest'
import { demultiplex } from './demux.ts'

function frame(stream: 1 | 2, data: Uint8Array): Uint8Array {
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(data.length, 4)
  return Buffer.concat([header, data])
}
async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array, void, void> {
  let at = 0
  for (const size of sizes) {
    yield bytes.subarray(at, at + size)
    at += size
  }
  yield bytes.subarray(at)
}

test('however the bytes are cut, each stream comes out whole', async () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(1 as const, 2 as const), fc.uint8Array({ maxLength: 20 })), { maxLength: 10 })
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.nat(12), { maxLength: 40 }), async (sent, sizes) => {
      const got = { stdout: [] as number[], stderr: [] as number[] }
      const bytes = Buffer.concat(sent.map(([stream, data]) => frame(stream, data)))
      for await (const { stream, data } of demultiplex(cut(bytes, sizes))) got[stream].push(...data)
      const expected = (which: number) => sent.filter(([stream]) => stream === which).flatMap(([, data]) => [...data])
      expect(got).toEqual({ stdout: expected(1), stderr: expected(2) })
    }),
  )
})

test('a stream that breaks off in the middle of a frame gives what came', async () => {
  const bytes = frame(1, Buffer.from('hello')).subarray(0, 10)
  const got: string[] = []
  for await (const { data } of demultiplex(cut(bytes, []))) got.push(Buffer.from(data).toString())
  expect(got.join('')).toBe('he')
})

test('lines that came together are passed on together, in the order of the streams', async () => {
  const lines = ['a\n', 'b\n', 'c\n'].map((line) => frame(1, Buffer.from(line)))
  const bytes = Buffer.concat([...lines, frame(2, Buffer.from('oh\n')), frame(1, Buffer.from('d\n'))])
  const got: string[] = []
  for await (const { stream, data } of demultiplex(cut(bytes, []))) got.push(`${stream}:${Buffer.from(data).toString()}`)
  expect(got).toEqual(['stdout:a\nb\nc\n', 'stderr:oh\n', 'stdout:d\n'])
})
