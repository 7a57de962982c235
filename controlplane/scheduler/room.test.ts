import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Room } from './room.ts'

const gibibyte = 2 ** 30
const load = ({ cpu = 4000, memory = 8 * gibibyte, usedCpu = 0, usedMemory = 0, pods = 0 } = {}) => ({
  allocatable: new Map([
    ['cpu', cpu],
    ['memory', memory],
    ['pods', 3],
  ]),
  requested: new Map([
    ['cpu', usedCpu],
    ['memory', usedMemory],
  ]),
  scored: { cpu: usedCpu, memory: usedMemory },
  pods: { size: pods },
})

function roomOf(of: ReturnType<typeof load>): Room {
  const room = new Room()
  room.measure(of)
  return room
}

test('what is asked for fits up to the last byte and thousandth of a processor, and no further', () => {
  const room = roomOf(load({ usedCpu: 1000, usedMemory: gibibyte }))
  expect(room.fits({ cpu: 3000, memory: 7 * gibibyte })).toBe(true)
  expect(room.fits({ cpu: 3001, memory: 0 })).toBe(false)
  expect(room.fits({ cpu: 0, memory: 7 * gibibyte + 1 })).toBe(false)
})

test('a node that has given away too much takes who asks for nothing, until it has all its pods', () => {
  expect(roomOf(load({ usedCpu: 5000, usedMemory: 9 * gibibyte, pods: 2 })).fits({ cpu: 0, memory: 0 })).toBe(true)
  expect(roomOf(load({ pods: 3 })).fits({ cpu: 0, memory: 0 })).toBe(false)
})

test('a node that names no number of pods takes 110', () => {
  const { allocatable, ...rest } = load()
  const silent = { ...rest, allocatable: new Map([...allocatable].filter(([name]) => name !== 'pods')) }
  expect(roomOf({ ...silent, pods: { size: 109 } }).isFullOfPods).toBe(false)
  expect(roomOf({ ...silent, pods: { size: 110 } }).isFullOfPods).toBe(true)
})

test('shares are of what the node can give, and never above one', () => {
  const amount = fc.integer({ min: 0, max: 2 ** 40 })
  fc.assert(
    fc.property(amount, amount, amount, (total, used, more) => {
      const share = roomOf(load({ memory: total, usedMemory: used })).usedShare('memory', more)
      expect(share).toBe(total === 0 ? 1 : Math.min(1, (used + more) / total))
    }),
  )
  expect(roomOf(load({ usedCpu: 1000 })).usedShare('cpu', 1000)).toBe(0.5)
})
