import fc from 'fast-check'
import { applyPatch, createPatch, type Operation } from 'rfc6902'
import { expect, test } from 'vitest'
import type { Json } from './json.ts'
import { applyJsonPatch } from './json-patch.ts'
import { applyMergePatch } from './merge-patch.ts'

/** The examples of RFC 7396, appendix A: target, patch, result. */
test.each([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
] as [Json, Json, Json][])('RFC 7396: %j with %j is %j', (target, patch, expected) => {
  expect(applyMergePatch(target, patch)).toEqual(expected)
})

const key = fc.constantFrom('a', 'b', 'a/b', 'm~n', '0', '-')
const { value: anyJson } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<Json>(0, 1, 'x', '', true, null),
    fc.dictionary(key, tie('value'), { maxKeys: 3, noNullPrototype: true }),
    fc.array(tie('value'), { maxLength: 3 }),
  ),
}))

test('JSON patch: what another implementation finds between any two values leads from one to the other', () => {
  fc.assert(
    fc.property(anyJson, anyJson, (before, after) => {
      const patch = createPatch(before, after) as unknown as Json
      expect(applyJsonPatch(before, patch)).toEqual(after)
    }),
  )
})

const pointer = fc
  .array(fc.constantFrom('a', 'b', 'a~1b', 'm~0n', '0', '1', '-'), { minLength: 1, maxLength: 3 })
  .map((steps) => `/${steps.join('/')}`)
const operation = fc.oneof(
  fc.record({ op: fc.constantFrom('add' as const, 'replace' as const), path: pointer, value: anyJson }),
  fc.record({ op: fc.constant('remove' as const), path: pointer }),
  fc.record({ op: fc.constant('copy' as const), from: pointer, path: pointer }),
)

function theirResult(target: Json, one: Operation): Json | undefined {
  const result = structuredClone(target)
  try {
    const [error] = applyPatch(result, [structuredClone(one)])
    return error === null ? result : undefined
  } catch {
    return undefined // It throws where there is nothing to hold a field.
  }
}

/** Without lists and texts: the other implementation takes any text as an index, and looks into texts. */
const { value: anyTree } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.dictionary(key, fc.oneof({ maxDepth: 4 }, fc.constantFrom<Json>(1, true), tie('value')), {
    maxKeys: 4,
    noNullPrototype: true,
  }),
}))

test('JSON patch: any operation works as in another implementation, and fails where it fails', () => {
  fc.assert(
    fc.property(anyTree, operation, (target, one) => {
      const theirs = theirResult(target, one)
      const ours = (): Json => applyJsonPatch(target, [one] as unknown as Json)
      if (theirs === undefined) expect(ours).toThrow('the server rejected our request')
      else expect(ours()).toEqual(theirs)
    }),
    { numRuns: 1000 },
  )
})
