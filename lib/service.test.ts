import { expect, test } from 'vitest'
import { aborted } from './async.ts'
import { Backoff } from './backoff.ts'
import { FakeClock } from './clock.ts'
import { type Log, silentLog } from './log.ts'
import { seededRandom } from './random.ts'
import { type Service, superviseGroups } from './service.ts'

function world() {
  const clock = new FakeClock()
  const stop = new AbortController()
  const warnings: unknown[] = []
  const log: Log = { ...silentLog, warn: (_, fields) => void warnings.push(fields) }
  const backoff = new Backoff({ baseMs: 100, maxMs: 1_000, resetAfterMs: 60_000, clock, random: seededRandom(1) })
  return { clock, stop, warnings, options: { clock, log, backoff, signal: stop.signal, drainMs: 5_000 } }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

test('groups stop in reverse order, each as soon as it can, and leave no timer behind', async () => {
  const { clock, stop, options } = world()
  const ended: string[] = []
  const service = (name: string): Service => ({
    name,
    async run(signal) {
      await aborted(signal)
      await settle()
      ended.push(name)
    },
  })
  const running = superviseGroups([[service('first')], [service('second')], [service('third')]], options)
  stop.abort()
  await running
  expect(ended).toEqual(['third', 'second', 'first'])
  expect(clock.nextTimerAt).toBeUndefined()
})

test('a service that does not end is named, and the others are stopped all the same', async () => {
  const { clock, stop, warnings, options } = world()
  const ended: string[] = []
  const stubborn: Service = { name: 'stubborn', run: () => new Promise(() => undefined) }
  const good: Service = {
    name: 'good',
    async run(signal) {
      await aborted(signal)
      ended.push('good')
    },
  }
  const running = superviseGroups([[good], [stubborn]], options)
  stop.abort()
  await settle()
  expect(ended).toEqual([])
  clock.step(5_000)
  await running
  expect(ended).toEqual(['good'])
  expect(warnings).toEqual([{ services: ['stubborn'], drainMs: 5_000 }])
})

test('a service that fails or ends early is started again after a growing delay', async () => {
  const { clock, stop, options } = world()
  let starts = 0
  const failing: Service = {
    name: 'failing',
    async run() {
      starts++
      if (starts % 2 === 0) throw new Error('no luck')
    },
  }
  const running = superviseGroups([[failing]], options)
  await settle()
  expect(starts).toBe(1)
  for (let i = 0; i < 20; i++) {
    clock.step(1_000)
    await settle()
  }
  expect(starts).toBeGreaterThan(10)
  stop.abort()
  await running
  expect(clock.nextTimerAt).toBeUndefined()
})
