import { expect, test } from 'vitest'
import type { Clock } from '../../lib/clock.ts'
import type { ContainerState } from '../runtime/runtime.ts'
import { Sightings } from './observe.ts'

/** A wall clock that can be set, beside a monotonic one that can not. */
class TwoClocks implements Clock {
  wallMs = 1_000_000
  ms = 50_000
  now(): number {
    return this.wallMs
  }
  monotonicMs(): number {
    return this.ms
  }
  after(): Disposable {
    throw new Error('nothing waits here')
  }
}

function dead(attempt: number, finishedMs: number, annotations: Readonly<Record<string, string>> = {}): ContainerState {
  return {
    id: `c-${attempt}`,
    identity: { podUid: 'u', podNamespace: 'n', podName: 'p', role: 'app', container: 'web', attempt, specHash: '' },
    status: 'exited',
    image: 'web:1',
    imageId: 'i',
    createdMs: 0,
    startedMs: finishedMs - 3000,
    finishedMs,
    exitCode: 1,
    oomKilled: false,
    error: undefined,
    pid: undefined,
    annotations,
  }
}

test('a jump of the wall clock after an end was first seen moves nothing', () => {
  const clock = new TwoClocks()
  const sightings = new Sightings(clock)
  const states = [dead(0, clock.wallMs - 4000)]
  const first = sightings.observe(states).attempts.get('web')?.[0]
  expect(first).toMatchObject({ isDead: true, endedMs: 46_000, ranMs: 3000 })
  clock.wallMs += 3_600_000
  clock.ms += 1000
  expect(sightings.observe(states).attempts.get('web')?.[0]?.endedMs).toBe(46_000)
})

test('an end in the future, of a clock that was set back, counts as now', () => {
  const clock = new TwoClocks()
  const attempt = new Sightings(clock).observe([dead(0, clock.wallMs + 3_600_000)]).attempts.get('web')?.[0]
  expect(attempt?.endedMs).toBe(50_000)
})

test('what was seen alive has ended since then, also when the engine has another clock', () => {
  const clock = new TwoClocks()
  const sightings = new Sightings(clock)
  const ended = dead(0, clock.wallMs - 3_600_000)
  sightings.observe([{ ...ended, status: 'running', finishedMs: undefined, exitCode: undefined, pid: 7 }])
  clock.ms += 500
  clock.wallMs += 500
  expect(sightings.observe([ended]).attempts.get('web')?.[0]?.endedMs).toBe(50_000)
})

test('attempts come newest first, and the streak is read from the container, else its number is taken', () => {
  const clock = new TwoClocks()
  const seen = new Sightings(clock).observe([dead(0, 1000), dead(3, 1000, { streak: '1' }), dead(2, 1000, { streak: 'x' })])
  expect(seen.attempts.get('web')?.map(({ state, streak }) => [state.identity.attempt, streak])).toEqual([
    [3, 1],
    [2, 2],
    [0, 0],
  ])
})
