import { expect, test } from 'vitest'
import { FakeClock } from '../../lib/clock.ts'
import { SpareDemand } from './spare-demand.ts'

function setUp({ least = 4, most = 20 } = {}) {
  const clock = new FakeClock()
  const demand = new SpareDemand({ least, most, clock })
  const come = (pods: number): void => {
    for (let i = 0; i < pods; i++) demand.asked()
  }
  return { clock, demand, come }
}

test('as many are kept as pods came at a time, between the least and the most', () => {
  const { demand, come } = setUp()
  expect(demand.size).toBe(4)
  come(3)
  expect(demand.size).toBe(4)
  come(6)
  expect(demand.size).toBe(9)
  come(50)
  expect(demand.size).toBe(20)
})

test('pods that come when there are enough again are another group', () => {
  const { demand, come } = setUp()
  for (let i = 0; i < 30; i++) {
    come(3)
    demand.refilled()
  }
  expect(demand.size).toBe(4)
})

test('a group counts for five minutes after its last pod, a smaller one does not shorten that', () => {
  const { clock, demand, come } = setUp()
  come(10)
  demand.refilled()
  clock.step(4 * 60_000)
  come(6)
  demand.refilled()
  expect(demand.size).toBe(10)
  clock.step(demand.leftMs ?? 0)
  expect(demand.size).toBe(4)
  expect(demand.leftMs).toBeUndefined()
  come(6)
  expect(demand.size).toBe(6)
})

test('who wants none gets none', () => {
  const { demand, come } = setUp({ least: 0 })
  come(10)
  expect(demand.size).toBe(0)
})
