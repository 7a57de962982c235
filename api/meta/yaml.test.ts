import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { manifestYaml } from './yaml.ts'

// What kubectl 1.32 makes of each.
test.each([
  ['0400', 256],
  ['0o400', 256],
  ['-0o10', -8],
  ['0o8', '0o8'],
  ['08', 8],
  ['0x1F', 31],
  ['0b11', 3],
  ['1_000', 1000],
  ['+12', 12],
  ['1e3', 1000],
  ['"0400"', '0400'],
  ['yes', true],
  ['Off', false],
  ['y', true],
  ['~', null],
  ['12:30', '12:30'],
  ['190:20:30', '190:20:30'],
  ['1.2.3', '1.2.3'],
  ['2001-12-14', '2001-12-14'],
  ['2001-12-14T21:59:43.10-05:00', '2001-12-14T21:59:43.10-05:00'],
  ['!!binary aGVsbG8=', 'hello'],
])('%s in a manifest is %j', (text, expected) => {
  expect(parse(`a: ${text}\n`, manifestYaml)).toEqual({ a: expected })
})

test('keys are texts, and those of a merged mapping count', () => {
  expect(parse('base: &b {x: 1}\nused: {<<: *b, on: 2}\n', manifestYaml)).toEqual({ base: { x: 1 }, used: { x: 1, true: 2 } })
})
