import { expect, test } from 'vitest'
import { FakeClock } from '../../lib/clock.ts'
import { KeyedLanes } from './keyed-lanes.ts'

const settle = async (): Promise<void> => {
  for (let count = 0; count < 10; count++) await new Promise((resolve) => setImmediate(resolve))
}

test('a key added while it is worked on is worked on once more, never twice at a time', async () => {
  const clock = new FakeClock()
  const controller = new AbortController()
  const gates: (() => void)[] = []
  let running = 0
  let most = 0
  const lanes = new KeyedLanes({
    lanes: 3,
    clock,
    failed: () => 0,
    work: async () => {
      most = Math.max(most, ++running)
      await new Promise<void>((resolve) => gates.push(resolve))
      running--
      return undefined
    },
  })
  const ended = lanes.run(controller.signal)
  lanes.add('a')
  await settle()
  for (let count = 0; count < 5; count++) lanes.add('a')
  gates.shift()?.()
  await settle()
  gates.shift()?.()
  await settle()
  expect(gates.length).toBe(0)
  expect(most).toBe(1)
  controller.abort(new Error('over'))
  await ended
})

test('what is most likely known to whoever works on a key is looked at later, and at once when nobody does', async () => {
  const clock = new FakeClock()
  const controller = new AbortController()
  const begun: string[] = []
  let end: (untilMs?: number) => void = () => undefined
  const lanes = new KeyedLanes({
    lanes: 2,
    clock,
    failed: () => 5_000,
    work: async (key) => {
      begun.push(key)
      return await new Promise<number | undefined>((resolve) => {
        end = resolve
      })
    },
  })
  const ended = lanes.run(controller.signal)
  lanes.addUnlessInWork('a', 1_000)
  await settle()
  expect(begun).toEqual(['a'])
  lanes.addUnlessInWork('a', 1_000)
  end(clock.monotonicMs() + 60_000)
  await settle()
  clock.step(999)
  await settle()
  expect(begun).toEqual(['a'])
  clock.step(1)
  await settle()
  expect(begun).toEqual(['a', 'a'])
  // Anything else is not put off by it.
  lanes.addUnlessInWork('a', 1_000)
  lanes.add('a')
  end()
  await settle()
  expect(begun).toEqual(['a', 'a', 'a'])
  end()
  await settle()
  expect(clock.nextTimerAt).toBeUndefined()
  controller.abort(new Error('over'))
  await ended
})

test('the number of lanes bounds the work, a time is kept, and a failure comes back after its delay', async () => {
  const clock = new FakeClock()
  const controller = new AbortController()
  const done: string[] = []
  let running = 0
  let most = 0
  const lanes = new KeyedLanes({
    lanes: 2,
    clock,
    failed: () => 5000,
    work: async (key) => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running--
      done.push(key)
      if (key === 'bad') throw new Error('trouble')
      return key === 'again' && done.length < 6 ? clock.monotonicMs() + 1000 : undefined
    },
  })
  const ended = lanes.run(controller.signal)
  for (const key of ['again', 'bad', 'c', 'd']) lanes.add(key)
  await settle()
  expect([...done].sort()).toEqual(['again', 'bad', 'c', 'd'])
  expect(most).toBe(2)
  clock.step(1000)
  await settle()
  expect(done.slice(4)).toEqual(['again'])
  clock.step(4000)
  await settle()
  expect(done.slice(4)).toContain('bad')
  controller.abort(new Error('over'))
  await ended
  expect(clock.nextTimerAt).toBeUndefined()
})

test('work that takes long holds up nobody: lanes are opened for as long as it goes on, up to a bound', async () => {
  const clock = new FakeClock()
  const controller = new AbortController()
  const stuck = new Map<string, () => void>()
  const done: string[] = []
  let running = 0
  let most = 0
  const lanes = new KeyedLanes({
    lanes: 2,
    relief: { afterMs: 1000, most: 5 },
    clock,
    failed: () => 0,
    work: async (key) => {
      most = Math.max(most, ++running)
      if (key.startsWith('stuck')) await new Promise<void>((resolve) => stuck.set(key, resolve))
      running--
      done.push(key)
      return undefined
    },
  })
  const ended = lanes.run(controller.signal)
  for (const key of ['stuck1', 'stuck2', 'quick']) lanes.add(key)
  await settle()
  expect(done).toEqual([])
  clock.step(1000)
  await settle()
  expect(done).toEqual(['quick'])
  for (let count = 3; count < 10; count++) lanes.add(`stuck${count}`)
  for (let count = 0; count < 9; count++) {
    clock.step(1000)
    await settle()
  }
  expect(most).toBe(5)
  // Without slow work there are no more than the usual lanes.
  for (let round = 0; round < 9; round++) {
    for (const free of stuck.values()) free()
    await settle()
  }
  expect(done.length).toBe(10)
  most = 0
  for (let count = 0; count < 6; count++) lanes.add(`stuck-again${count}`)
  await settle()
  expect(running).toBe(2)
  for (let round = 0; round < 6; round++) {
    for (const free of stuck.values()) free()
    await settle()
  }
  controller.abort(new Error('over'))
  await ended
})
