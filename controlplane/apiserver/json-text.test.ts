import fc from 'fast-check'
import { expect, test } from 'vitest'
import { depthLimit, parseJson } from './json-text.ts'

test('a text without a key twice is read as JSON.parse reads it, and says so', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      expect(parseJson(text)).toEqual({ value: JSON.parse(text), duplicates: [] })
    }),
  )
})

test.each<[string, readonly string[]]>([
  ['{"a":1,"a":2}', ['a']],
  ['{"a":{"b":1,"c":[{"d":1},{"d":1,"d":2}]},"e":{"b":1}}', ['a.c[1].d']],
  ['{"a":{"b":1,"c":{"d":{}}},"a":1}', ['a']],
  ['{"a":1,"\\u0061":2}', ['a']],
  ['{"__proto__":1,"__proto__":2}', ['__proto__']],
  ['{"":1,"":2}', ['']],
  ['{"1":1,"b":{"1":1},"1":2}', ['1']],
  ['{"a":"b:c{\\":[","b:":": ","}":1}', []],
  ['{"__proto__":{"a":1},"a":{"__proto__":1}}', []],
  ['[[{"a":1}],{"a":1}]', []],
])('of %s the keys twice are %j', (text, duplicates) => {
  expect(parseJson(text)).toEqual({ value: JSON.parse(text), duplicates })
})

test.each<[string, boolean]>([
  [`${'['.repeat(depthLimit)}${']'.repeat(depthLimit)}`, true],
  [`${'{"a":'.repeat(depthLimit)}1${'}'.repeat(depthLimit)}`, true],
  [`[${'[],'.repeat(1_000)}[]]`, true],
  [`{"a":"\\"${'['.repeat(200)}"}`, true],
  ['['.repeat(depthLimit + 1), false],
  [`${'{"a":'.repeat(depthLimit + 1)}1${'}'.repeat(depthLimit + 1)}`, false],
  [`${']'.repeat(1_000)}${'['.repeat(depthLimit + 1)}`, false],
])('a text is read down to a depth, and refused beyond: %#', (text, isRead) => {
  if (isRead) expect(parseJson(text).value).toEqual(JSON.parse(text))
  else expect(() => parseJson(text)).toThrow(/nested deeper than 100 levels/)
})
