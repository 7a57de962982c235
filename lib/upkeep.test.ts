import { expect, test } from 'vitest'
import { FakeClock } from './clock.ts'
import { silentLog } from './log.ts'
import { createMetrics } from './metrics.ts'
import { processUpkeep } from './upkeep.ts'

const miB = 1024 ** 2

function world({ busy = 0, heapMiB = 80, keptMiB = 30 } = {}) {
  const clock = new FakeClock()
  const metrics = createMetrics('t_')
  const state = { busy, heapMiB, keptMiB, collections: 0, isMeasuring: false, p99: 0 }
  const view = {
    busy: () => state.busy,
    heapBytes: () => state.heapMiB * miB,
    collect: () => {
      state.collections++
      state.heapMiB = state.keptMiB
    },
  }
  const set = (on: boolean) => () => {
    const was = state.isMeasuring
    state.isMeasuring = on
    return was !== on
  }
  const delays = { enable: set(true), disable: set(false), reset: () => undefined, percentile: () => state.p99 }
  const controller = new AbortController()
  const ended = processUpkeep({ clock, log: silentLog, metrics, view, delays }).run(controller.signal)
  const look = async (): Promise<void> => {
    for (let step = 0; step < 5; step++) {
      clock.step(2_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const stop = async (): Promise<void> => {
    controller.abort(new Error('the test is over'))
    await ended
  }
  return { state, look, stop, metrics }
}

test('an idle process gives back what a busy time left, once, and again only after it has grown', async () => {
  const { state, look, stop } = world()
  await look()
  await look()
  expect(state).toMatchObject({ collections: 1, heapMiB: 30 })
  state.heapMiB = 33
  await look()
  expect(state.collections).toBe(1)
  state.heapMiB = 34
  await look()
  expect(state.collections).toBe(2)
  await stop()
})

test('a busy process is left alone, and so is one whose collection would take long', async () => {
  const busy = world({ busy: 0.3 })
  await busy.look()
  expect(busy.state.collections).toBe(0)
  busy.state.busy = 0.01
  await busy.look()
  expect(busy.state.collections).toBe(1)
  await busy.stop()
  const large = world({ heapMiB: 1_000 })
  await large.look()
  expect(large.state.collections).toBe(0)
  await large.stop()
})

test('the delay of the event loop is measured while the process is busy, and never when it is not', async () => {
  const { state, look, stop, metrics } = world()
  await look()
  expect(state.isMeasuring).toBe(false)
  state.busy = 0.5
  state.p99 = 12e6
  await look()
  expect(state.isMeasuring).toBe(true)
  await look()
  expect((await metrics.render()).body).toMatch(/t_event_loop_delay_seconds\{quantile="0\.99"\} 0\.012/)
  state.busy = 0
  await look()
  expect(state.isMeasuring).toBe(false)
  state.busy = 0.5
  await look()
  await stop()
  expect(state.isMeasuring).toBe(false)
})

test('a real process can be made to collect', async () => {
  const clock = new FakeClock()
  const controller = new AbortController()
  const ended = processUpkeep({ clock, log: silentLog, metrics: createMetrics('t_') }).run(controller.signal)
  for (let look = 0; look < 5; look++) {
    clock.step(2_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  controller.abort(new Error('the test is over'))
  await expect(ended).resolves.toBeUndefined()
})
