import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../lib/clock.ts'
import { systemRandom } from '../../lib/random.ts'
import type { Command } from './command.ts'
import { createShell } from './shell.ts'

let run: ReturnType<typeof createShell>
const opts = { signal: new AbortController().signal }
beforeEach(() => {
  run = createShell({ clock: systemClock, random: systemRandom })
})
afterEach(() => run[Symbol.dispose]())
const sh = (script: string, more: Partial<Command> = {}): Command => ({ program: 'sh', args: ['-c', script], ...more })

test('output, errors and exit code are those of the command', async () => {
  expect(await run(sh('echo out; echo err >&2; exit 3'), opts)).toEqual({ code: 3, stdout: 'out\n', stderr: 'err\n' })
  expect(await run(sh('printf "no newline"'), opts)).toEqual({ code: 0, stdout: 'no newline', stderr: '' })
  expect(await run({ program: 'true', args: [] }, opts)).toEqual({ code: 0, stdout: '', stderr: '' })
})

test('words and input arrive as they are', async () => {
  const words = ['a  b', "it's", '$HOME `x`', '', 'line\nbreak', '*']
  const { stdout } = await run({ program: 'printf', args: ['[%s]', ...words] }, opts)
  expect(stdout).toBe(words.map((word) => `[${word}]`).join(''))
  expect((await run({ program: 'cat', args: [], input: "$HOME 'x'\nEND\n" }, opts)).stdout).toBe("$HOME 'x'\nEND\n")
  expect((await run({ program: 'cat', args: [] }, opts)).stdout).toBe('')
})

test('commands run one after the other in one shell, and each has its own answer', async () => {
  const all = await Promise.all(Array.from({ length: 20 }, (_, index) => run(sh(`echo ${index} $PPID`), opts)))
  expect(all.map(({ stdout }) => stdout.split(' ')[0])).toEqual(Array.from({ length: 20 }, (_, index) => String(index)))
  expect(new Set(all.map(({ stdout }) => stdout.split(' ')[1])).size).toBe(1)
})

test('a program that is not there ends with 127', async () => {
  expect(await run({ program: 'skiff-no-such-program', args: [] }, opts)).toMatchObject({ code: 127 })
})

test('a command that takes too long, is not wanted any more, or says too much is ended, and the next one runs', async () => {
  await expect(run(sh('sleep 60', { deadlineMs: 50 }), opts)).rejects.toThrow('sh did not end within 50 ms')
  expect((await run(sh('echo on'), opts)).stdout).toBe('on\n')
  const controller = new AbortController()
  const waiting = run(sh('sleep 60'), { signal: controller.signal })
  setTimeout(() => controller.abort(new Error('not wanted')), 50)
  await expect(waiting).rejects.toThrow('not wanted')
  await expect(run(sh('yes | head -c 3000000'), opts)).rejects.toThrow('printed more than')
  expect((await run(sh('echo on'), opts)).stdout).toBe('on\n')
})

test('a shell that somebody kills is replaced', async () => {
  await expect(run(sh('kill -9 $PPID'), opts)).rejects.toThrow('has ended')
  expect((await run(sh('echo on'), opts)).stdout).toBe('on\n')
})
