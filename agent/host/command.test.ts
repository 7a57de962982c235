import { expect, test } from 'vitest'
import { FakeClock, systemClock } from '../../lib/clock.ts'
import { createRunCommand, mustRun } from './command.ts'

const { signal } = new AbortController()
const run = createRunCommand({ clock: systemClock })
const sh = (script: string, input?: string) => ({ program: 'sh', args: ['-c', script], ...(input !== undefined && { input }) })

test('a program’s output, input and exit code come back', async () => {
  expect(await run(sh('cat; echo err >&2; exit 3', 'in'), { signal })).toEqual({ code: 3, stdout: 'in', stderr: 'err\n' })
})

test('a program that does not read its input is no failure', async () => {
  expect(await run(sh('exit 0', 'x'.repeat(1_000_000)), { signal })).toMatchObject({ code: 0 })
})

test('a program that does not exist is named', async () => {
  await expect(run({ program: 'no-such-program', args: [] }, { signal })).rejects.toThrow('cannot run no-such-program')
})

test('a program that takes too long is killed', async () => {
  const clock = new FakeClock()
  const running = createRunCommand({ clock, deadlineMs: 1_000 })({ program: 'sleep', args: ['60'] }, { signal })
  clock.step(1_000)
  await expect(running).rejects.toThrow('sleep did not end within 1000 ms')
})

test('an abort kills the program and rejects with its reason', async () => {
  const stop = new AbortController()
  const running = run({ program: 'sleep', args: ['60'] }, { signal: stop.signal })
  stop.abort(new Error('enough'))
  await expect(running).rejects.toThrow('enough')
})

test('a program that must succeed says what was attempted and why it failed', async () => {
  await expect(mustRun(run, 'make tea', sh('echo no water >&2; exit 2'), { signal })).rejects.toThrow(
    'make tea: sh ended with 2: no water',
  )
})
