import { expect, test } from 'vitest'
import { PodsSeen } from './pods-seen.ts'

function listening(...uids: readonly string[]): PodsSeen {
  const seen = new PodsSeen()
  seen.gap()
  seen.asked()
  seen.listed(uids)
  return seen
}

test('a pod of which neither the list nor an event since has told has nothing', () => {
  const seen = listening('a')
  seen.changed('b')
  expect(['a', 'b', 'c'].map((uid) => seen.hasNothingOf(uid))).toEqual([false, false, true])
})

test('nothing is known before a list that was asked for after events were heard', () => {
  const seen = new PodsSeen()
  seen.asked()
  seen.listed([])
  expect(seen.hasNothingOf('a')).toBe(false)
  seen.asked()
  seen.gap()
  seen.listed([])
  expect(seen.hasNothingOf('a')).toBe(false)
  seen.asked()
  expect(seen.hasNothingOf('a')).toBe(false)
  seen.listed([])
  expect(seen.hasNothingOf('a')).toBe(true)
})

test('what is told while a list is under way is kept, and what is gone is forgotten with the next list', () => {
  const seen = listening('a')
  seen.asked()
  seen.changed('b')
  seen.listed([])
  expect(['a', 'b'].map((uid) => seen.hasNothingOf(uid))).toEqual([true, false])
  seen.asked()
  seen.listed([])
  expect(seen.hasNothingOf('b')).toBe(true)
})

test('nothing is known after a gap, nor by a list while no event is heard', () => {
  const seen = listening()
  seen.gap()
  expect(seen.hasNothingOf('a')).toBe(false)
  seen.deaf()
  seen.asked()
  seen.listed([])
  expect(seen.hasNothingOf('a')).toBe(false)
})
