import { expect, test } from 'vitest'
import { parseDismissed, parseUnlisted, type UnlistedPod, unlistedMessage } from './unlisted-pods.ts'

const pods = (count: number): readonly UnlistedPod[] =>
  Array.from({ length: count }, (_, index) => ({ namespace: 'shop-1', name: `web.a-${index}`, uid: `0a1b-${index}` }))

test('what the message of a node names is read back', () => {
  expect(parseUnlisted(unlistedMessage(pods(3)))).toEqual(pods(3))
  expect(parseUnlisted('the agent and the engine work')).toEqual([])
})

test('a hundred are named, the rest is counted', () => {
  const message = unlistedMessage(pods(105))
  expect(parseUnlisted(message)).toEqual(pods(100))
  expect(message).toMatch(/, and 5 more$/)
  expect(message.length).toBeLessThan(32 * 1024)
})

test('of the annotation only UIDs count, and no more than there is room for', () => {
  expect([...parseDismissed(' a-1, b2 ,,../x,c\u0000')]).toEqual(['a-1', 'b2'])
  expect(parseDismissed(undefined).size).toBe(0)
  expect([...parseDismissed('a,b,c', 2)]).toEqual(['a', 'b'])
})
