import { expect, test } from 'vitest'
import { Backoff } from './backoff.ts'
import { FakeClock } from './clock.ts'
import { seededRandom } from './random.ts'

test('delays double up to the limit, start over after a quiet time, and are forgotten on success', () => {
  const clock = new FakeClock()
  const backoff = new Backoff({ baseMs: 10, maxMs: 50, jitter: 0, resetAfterMs: 1000, random: seededRandom(1), clock })
  expect([backoff.next('a'), backoff.next('a'), backoff.next('a'), backoff.next('a')]).toEqual([10, 20, 40, 50])
  expect(backoff.next('b')).toBe(10)
  clock.step(1001)
  expect(backoff.next('a')).toBe(10)
  backoff.next('a')
  backoff.forget('a')
  expect(backoff.attempts('a')).toBe(0)
})
