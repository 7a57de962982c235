import { expect, test } from 'vitest'
import { isDeeper } from './json-depth.ts'

test.each<[string, number, boolean]>([
  ['{"a": [1]}', 2, false],
  ['{"a": [1]}', 1, true],
  ['[[], [], []]', 2, false],
  [String.raw`["[[[\\\"[[["]`, 1, false],
  [String.raw`["\\\\", [[`, 2, true],
  ['['.repeat(1_000_000), 100, true],
  ['"', 0, false],
  ['', 0, false],
])('%.20s is deeper than %i levels: %s', (json, levels, expected) => {
  expect(isDeeper(json, levels)).toBe(expected)
})
