import { PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { withPrefix } from './commands/logs.ts'
import { safeForTerminal, streamOutput } from './output.ts'

const stream = (isTTY: boolean, highWaterMark = 16) => Object.assign(new PassThrough({ highWaterMark }), { isTTY })
const textOf = (from: PassThrough): string => String(from.read() ?? '')

test('what could move the cursor is shown instead, and lines and tabs stay', () => {
  expect(safeForTerminal('a\u001b[2Jb\rc\u0000d\te\nf\u007f\u009b1m')).toBe('a^[[2Jb^Mc^@d\te\nf\\x7f\\x9b1m')
  expect(safeForTerminal('grüße 世界 😀')).toBe('grüße 世界 😀')
})

test('only a terminal is protected, and only from texts: what a container writes passes as it is', () => {
  const [terminal, file, errors] = [stream(true), stream(false), stream(true)]
  const out = streamOutput(terminal, errors)
  out.line('\u001b[31mred')
  out.write(Buffer.from('\u001b[31mred\n'))
  out.note('bad\rgood')
  streamOutput(file, errors).line('\u001b[31mred')
  expect(textOf(terminal)).toBe('^[[31mred\n\u001b[31mred\n')
  expect(textOf(errors)).toBe('bad^Mgood\n')
  expect(textOf(file)).toBe('\u001b[31mred\n')
})

test('who writes without end waits for a slow reader, and not for one that is gone', async () => {
  const slow = stream(false)
  const out = streamOutput(slow, stream(false))
  await out.flushed()
  out.write(Buffer.alloc(1000))
  let isFlushed = false
  const waiting = [out.flushed(), out.flushed()].map((done) =>
    done.then(() => {
      isFlushed = true
    }),
  )
  await setImmediate()
  expect(isFlushed).toBe(false)
  expect(slow.listenerCount('drain')).toBe(1)
  slow.resume()
  await Promise.all(waiting)
  slow.pause()
  out.write(Buffer.alloc(1000))
  const last = out.flushed()
  slow.destroy()
  await last
  await out.flushed()
})

async function prefixed(chunks: readonly Buffer[]): Promise<readonly string[]> {
  async function* source() {
    yield* chunks
  }
  const pieces: string[] = []
  for await (const piece of withPrefix(source(), '[p] ')) pieces.push(Buffer.from(piece).toString('latin1'))
  return pieces
}

test('each line of a log gets its prefix, however it came', async () => {
  const chunks = ['on', 'e\ntwo\n\nth', 'ree'].map((text) => Buffer.from(text))
  expect((await prefixed(chunks)).join('')).toBe('[p] one\n[p] two\n[p] \n[p] three\n')
  expect(await prefixed([Buffer.from([0xff, 0x00, 0x0a])])).toEqual(['[p] \xff\x00\n'])
})

test('a line without an end is not kept: it goes on in pieces', async () => {
  const pieces = await prefixed(Array.from({ length: 64 }, () => Buffer.alloc(32 * 1024, 'x')))
  expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(200_000)
  expect(pieces.join('').replaceAll(/\[p\] |\n/g, '').length).toBe(64 * 32 * 1024)
})
