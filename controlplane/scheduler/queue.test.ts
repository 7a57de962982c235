import { expect, test } from 'vitest'
import { FakeClock } from '../../lib/clock.ts'
import type { ClusterEvent } from './plugins/plugin.ts'
import { parkedLimitMs, SchedulingQueue } from './queue.ts'

const wakes = new Map<string, readonly ClusterEvent[]>([
  ['Fit', ['PodGone']],
  ['Name', ['NodeAdded']],
])
const pod = (key: string, priority = 0) => ({ key, uid: key, priority })

function setUp() {
  const clock = new FakeClock()
  const queue = new SchedulingQueue({ clock, wakes, ready: () => undefined })
  const drain = (): string[] => {
    const taken: string[] = []
    for (let next = queue.take(); next !== undefined; next = queue.take()) taken.push(next.key)
    return taken
  }
  return { clock, queue, drain }
}

test('higher priority goes first, then first come first served', () => {
  const { queue, drain } = setUp()
  for (const one of [pod('a'), pod('b'), pod('c', 5)]) queue.add(one)
  expect(drain()).toEqual(['c', 'a', 'b'])
})

test('a parked pod wakes for what could help, after its back-off', () => {
  const { clock, queue, drain } = setUp()
  queue.add(pod('a'))
  drain()
  queue.park('a', new Set(['Fit']))
  queue.wake('NodeAdded')
  clock.step(10_000)
  expect(drain()).toEqual([])
  queue.wake('PodGone')
  expect(drain()).toEqual([])
  clock.step(1000)
  expect(drain()).toEqual(['a'])
})

test('an event that comes while the pod is looked at is not lost', () => {
  const { clock, queue, drain } = setUp()
  queue.add(pod('a'))
  queue.take()
  queue.wake('PodGone')
  queue.park('a', new Set(['Fit']))
  clock.step(1000)
  expect(drain()).toEqual(['a'])
})

test('back-off doubles up to its limit', () => {
  const { clock, queue, drain } = setUp()
  queue.add(pod('a'))
  for (const waitMs of [1000, 2000, 4000, 8000, 10_000, 10_000]) {
    expect(drain()).toEqual(['a'])
    queue.fail('a')
    clock.step(waitMs - 1)
    expect(drain()).toEqual([])
    clock.step(1)
  }
})

test('what is parked for long is tried again', () => {
  const { clock, queue, drain } = setUp()
  queue.add(pod('a'))
  drain()
  queue.park('a', new Set(['Fit']))
  clock.step(parkedLimitMs)
  queue.flush()
  clock.step(1000)
  expect(drain()).toEqual(['a'])
})

test('a deleted pod is nowhere, also when its binding fails later', () => {
  const { clock, queue, drain } = setUp()
  queue.add(pod('a'))
  queue.take()
  queue.delete('a')
  queue.fail('a')
  clock.step(60_000)
  expect(drain()).toEqual([])
  expect(queue.depth).toEqual({ ready: 0, backoff: 0, parked: 0 })
})

test('a pod of the same name but another UID starts over', () => {
  const { queue, drain } = setUp()
  queue.add(pod('a'))
  drain()
  queue.park('a', new Set(['Fit']))
  queue.add({ key: 'a', uid: 'new', priority: 0 })
  expect(drain()).toEqual(['a'])
})

test('thousands that are deleted while they wait leave nothing behind, and the order of the others stays', () => {
  const { queue, drain } = setUp()
  for (let index = 0; index < 5000; index++) {
    queue.add(pod(`p${index}`, index % 3))
    if (index % 100 !== 7) queue.delete(`p${index}`)
  }
  const left = Array.from({ length: 50 }, (_, index) => index * 100 + 7)
  const byPriority = left.toSorted((a, b) => (b % 3) - (a % 3) || a - b)
  expect(queue.depth.ready).toBe(50)
  expect(drain()).toEqual(byPriority.map((index) => `p${index}`))
})

test('an event wakes every parked pod that it could help, and no other', () => {
  const { clock, queue, drain } = setUp()
  for (const key of ['a', 'b', 'c', 'd']) queue.add(pod(key))
  drain()
  for (const key of ['a', 'b']) queue.park(key, new Set(['Fit']))
  queue.park('c', new Set(['Name']))
  queue.park('d', new Set(['Name', 'Fit']))
  queue.delete('b')
  queue.wake('PodGone')
  clock.step(1000)
  expect(drain().sort()).toEqual(['a', 'd'])
  expect(queue.depth).toMatchObject({ ready: 0, parked: 1 })
})
