import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FakeClock } from '../lib/clock.ts'
import { WorkQueue } from './work-queue.ts'

const { signal } = new AbortController()

test('a key added twice is given once', async () => {
  const queue = new WorkQueue(new FakeClock())
  queue.add('a')
  queue.add('a')
  queue.add('b')
  expect(await queue.take({ signal })).toBe('a')
  expect(await queue.take({ signal })).toBe('b')
  expect(queue.depth).toBe(0)
})

test('a key that changes while it is worked on is given again, but only after done', async () => {
  const queue = new WorkQueue(new FakeClock())
  queue.add('a')
  const key = await queue.take({ signal })
  queue.add('a')
  queue.add('b')
  expect(await queue.take({ signal })).toBe('b')
  const next = queue.take({ signal })
  queue.done(key)
  expect(await next).toBe('a')
})

test('of several times the earliest counts', async () => {
  const clock = new FakeClock()
  const queue = new WorkQueue(clock)
  queue.addAfter('a', 1000)
  queue.addAfter('a', 100)
  queue.addAfter('a', 5000)
  clock.step(99)
  expect(queue.depth).toBe(0)
  clock.step(1)
  expect(queue.depth).toBe(1)
  expect(await queue.take({ signal })).toBe('a')
  queue.done('a')
  clock.step(10_000)
  expect(queue.depth).toBe(0)
})

test('a worker that stops waiting takes no key with it', async () => {
  const queue = new WorkQueue(new FakeClock())
  const stop = new AbortController()
  const first = queue.take({ signal: stop.signal })
  stop.abort(new Error('stopped'))
  await expect(first).rejects.toThrow('stopped')
  queue.add('a')
  expect(await queue.take({ signal })).toBe('a')
})

test('whatever the order of calls, no key is lost and none is worked on twice at once', async () => {
  const step = fc.oneof(
    fc.record({ op: fc.constant('add' as const), key: fc.constantFrom('a', 'b', 'c') }),
    fc.record({ op: fc.constant('take' as const) }),
    fc.record({ op: fc.constant('done' as const) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const queue = new WorkQueue(new FakeClock())
      const active: string[] = []
      const owed = new Set<string>()
      const take = async (): Promise<void> => {
        if (![...owed].some((key) => !active.includes(key))) return
        const key = await queue.take({ signal })
        expect(active).not.toContain(key)
        expect(owed.delete(key)).toBe(true)
        active.push(key)
      }
      for (const one of steps) {
        if (one.op === 'add') {
          queue.add(one.key)
          owed.add(one.key)
        } else if (one.op === 'take') await take()
        else for (const key of active.splice(0, 1)) queue.done(key)
      }
      for (const key of active) queue.done(key)
      expect(queue.depth).toBe(owed.size)
    }),
  )
})
