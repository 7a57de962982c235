import { expect, test } from 'vitest'
import { clockOf, systemClock } from './clock.ts'

test('the wall clock can be moved by a test, and by nothing else', () => {
  const read = (): string => '3600000'
  expect(clockOf({}, read)).toBe(systemClock)
  expect(clockOf({ SKIFF_CLOCK: '/x' }, read)).toBe(systemClock)
  const moved = clockOf({ SKIFF_CLOCK: '/x', SKIFF_DEBUG_CHECKS: '1' }, read)
  expect(moved.now() - systemClock.now()).toBeGreaterThan(3_590_000)
  expect(moved.monotonicMs() - systemClock.monotonicMs()).toBeLessThan(1_000)
})

test('what is no number moves nothing', () => {
  const clock = clockOf({ SKIFF_CLOCK: '/x', SKIFF_DEBUG_CHECKS: '1' }, () => 'nonsense')
  expect(Math.abs(clock.now() - systemClock.now())).toBeLessThan(1_000)
})
