import { expect, test } from 'vitest'
import { leaderKey } from '../controlplane/core.ts'
import { fenceMarkOf } from '../controlplane/store/fence-mark.ts'
import { type Change, judge } from './history.ts'

const change = (revision: number, key: string, value: string | undefined): Change => ({ revision, key, value, atMs: 0 })
const set = '/skiff/objects/apps/replicasets/default/web'
const fenced = (revision: number, election: number): readonly Change[] => [
  change(revision, set, '{}'),
  change(revision, fenceMarkOf(set), String(election)),
]
const elected = (revision: number): Change => change(revision, leaderKey, '{}')
const resigned = (revision: number): Change => change(revision, leaderKey, undefined)

test('leaders that follow each other and write under their own elections are in order', () => {
  const user = change(3, '/skiff/objects/apps/deployments/default/web', '{}')
  expect(judge([elected(2), user, ...fenced(4, 2), resigned(5), elected(6), ...fenced(7, 6)])).toEqual({
    elections: [2, 6],
    fenced: 2,
    stale: [],
    unfenced: [],
  })
})

test('a write of a leader that was replaced, or whose lease had ended, is found', () => {
  const late = judge([elected(2), resigned(3), elected(4), ...fenced(5, 2)])
  expect(late.stale).toEqual([expect.stringMatching(/ at 5 believed in 2, and 4 led$/)])
  const between = judge([elected(2), resigned(3), ...fenced(4, 2), elected(5)])
  expect(between.stale).toEqual([expect.stringMatching(/believed in 2, and nobody led$/)])
})

test('of two transactions of one revision each has to have its own mark', () => {
  const pod = '/skiff/objects/core/pods/default/web'
  const both = judge([elected(2), ...fenced(3, 2), change(3, pod, '{}')])
  expect([both.stale, both.unfenced]).toEqual([[], [`${pod} at 3`]])
})

test('a write to what only leaders write is found when it has no fence', () => {
  expect(judge([elected(2), change(3, set, '{}'), change(4, set, undefined)]).unfenced).toHaveLength(2)
})
