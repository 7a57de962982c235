import { expect, test } from 'vitest'
import { FakeClock } from '../../lib/clock.ts'
import { DropOldest, StatusOutbox } from './outbox.ts'

const opts = { signal: new AbortController().signal }
const report = (uid: string, statusJson: string) => ({ uid, namespace: 'n', name: uid, statusJson, terminated: false })

test('the newest status overwrites the unsent one, and is sent again until its own receipt came', async () => {
  const clock = new FakeClock()
  const outbox = new StatusOutbox(clock)
  outbox.set(report('a', '1'))
  outbox.set(report('a', '2'))
  const [first] = await outbox.take(opts)
  expect(first).toMatchObject({ statusJson: '2', sequence: 1n })
  outbox.received('a', 7n)
  outbox.sendAgain(1000)
  expect(outbox.waiting).toBe(1)
  clock.step(1000)
  outbox.sendAgain(1000)
  const [again] = await outbox.take(opts)
  expect(again).toMatchObject({ statusJson: '2', sequence: 2n })
  outbox.received('a', 1n)
  outbox.received('a', 2n)
  expect(outbox.waiting).toBe(0)
})

test('sending again never undoes a newer status', async () => {
  const outbox = new StatusOutbox(new FakeClock())
  outbox.set(report('a', 'old'))
  await outbox.take(opts)
  outbox.set(report('a', 'new'))
  outbox.sendAgain(0)
  expect((await outbox.take(opts)).map(({ statusJson }) => statusJson)).toEqual(['new'])
})

test('what was stored is said again as long as the pod is there, and never in place of something newer', async () => {
  const outbox = new StatusOutbox(new FakeClock())
  for (const uid of ['a', 'b']) outbox.set(report(uid, 'old'))
  for (const { uid, sequence } of await outbox.take(opts)) outbox.received(uid, sequence)
  outbox.repeat((uid) => uid === 'a')
  expect((await outbox.take(opts)).map(({ uid, statusJson }) => `${uid} ${statusJson}`)).toEqual(['a old'])
  outbox.received('a', 3n)
  outbox.set(report('a', 'new'))
  await outbox.take(opts)
  outbox.repeat(() => true)
  outbox.sendAgain(0)
  expect((await outbox.take(opts)).map(({ uid, statusJson }) => `${uid} ${statusJson}`)).toEqual(['a new'])
})

test('what is soon overwritten waits a moment, and is never sent after something newer', async () => {
  const clock = new FakeClock()
  const outbox = new StatusOutbox(clock)
  outbox.setSoon(report('a', 'waiting'))
  outbox.setSoon(report('a', 'with an address'))
  outbox.setSoon(report('b', 'waiting'))
  outbox.set(report('b', 'ready'))
  expect(outbox.waiting).toBe(2)
  expect((await outbox.take(opts)).map(({ statusJson }) => statusJson)).toEqual(['ready'])
  clock.step(150)
  expect((await outbox.take(opts)).map(({ statusJson }) => statusJson)).toEqual(['with an address'])
  outbox.setSoon(report('a', 'later'))
  clock.step(150)
  expect((await outbox.take(opts)).map(({ statusJson }) => statusJson)).toEqual(['later'])
})

test('a full list of events forgets the oldest', async () => {
  const events = new DropOldest<number>(2)
  for (const item of [1, 2, 3]) events.push(item)
  await events.filled(opts)
  expect(events.take()).toEqual([2, 3])
  expect(events.dropped).toBe(1)
})
