import { expect, test } from 'vitest'
import { Event } from '../api/kinds/event.ts'
import { createWorld } from '../controlplane/testing/world.ts'
import { FakeClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { createEventRecorder } from './events.ts'

const subject = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'default', name: 'p', uid: 'u' } }

async function recording() {
  const clock = new FakeClock()
  const world = await createWorld({ clock })
  const recorder = createEventRecorder({ client: world.client, clock, log: silentLog, component: 'test' })
  const stop = new AbortController()
  const running = recorder.run(stop.signal)
  const pass = async (times = 20): Promise<void> => {
    for (let i = 0; i < times; i++) {
      clock.step(25)
      for (let j = 0; j < 5; j++) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return {
    recorder,
    clock,
    pass,
    all: () => world.cache.list(Event),
    client: world.client,
    signal: world.signal,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
      await world[Symbol.asyncDispose]()
    },
  }
}

test('the same thing happening again counts up one event, also after it was deleted', async () => {
  await using world = await recording()
  const back = { type: 'Warning', reason: 'BackOff', message: 'Back-off' } as const
  world.recorder.record(subject, back)
  await world.pass()
  world.clock.step(60_000)
  world.recorder.record(subject, back)
  world.recorder.record(subject, back)
  await world.pass()
  expect(world.all()).toHaveLength(1)
  expect(world.all()[0]).toMatchObject({ count: 3, reason: 'BackOff', involvedObject: { name: 'p', uid: 'u' } })
  expect(world.all()[0]?.firstTimestamp).not.toBe(world.all()[0]?.lastTimestamp)
  const name = world.all()[0]?.metadata.name ?? ''
  await world.client.delete(Event, { namespace: 'default', name }, { signal: world.signal })
  world.recorder.record(subject, back)
  await world.pass()
  expect(world.all()[0]).toMatchObject({ count: 4 })
})

test('one object that makes much noise is cut off, and others are still heard', async () => {
  await using world = await recording()
  for (let i = 0; i < 500; i++) world.recorder.record(subject, { type: 'Normal', reason: 'Noise', message: `number ${i}` })
  const other = { ...subject, metadata: { ...subject.metadata, name: 'q', uid: 'v' } }
  world.recorder.record(other, { type: 'Normal', reason: 'Started', message: 'started' })
  await world.pass(60)
  expect(world.all().filter((one) => one.reason === 'Noise')).toHaveLength(25)
  expect(world.all().filter((one) => one.reason === 'Started')).toHaveLength(1)
})

test('names are in the order of what happened, also within one moment', async () => {
  await using world = await recording()
  const reasons = ['Pulled', 'Created', 'Started', 'BackOff', 'Killing']
  for (const reason of reasons) world.recorder.record(subject, { type: 'Normal', reason, message: reason })
  await world.pass()
  world.recorder.record(subject, { type: 'Normal', reason: 'Later', message: 'later' })
  await world.pass()
  const byName = world.all().toSorted((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1))
  expect(byName.map(({ reason }) => reason)).toEqual([...reasons, 'Later'])
  expect(byName[0]?.metadata.name).toMatch(/^p\.[0-9a-f]{17}$/)
})
