import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ApiObject } from '../meta/object-meta.ts'
import { anyOf } from '../testing/arbitrary.ts'
import { created, defaulted, parsed } from '../testing/written.ts'
import type { KindDef } from './define.ts'
import { kinds } from './registry.ts'

const byName = kinds.map((kind) => [kind.kind, kind] as const)
const runs = { numRuns: 60 }

/** With what the server has set before any hook is called. */
const any = (kind: KindDef): fc.Arbitrary<ApiObject> =>
  anyOf(kind.schema).map((value) => {
    const { metadata, ...rest } = value as Partial<ApiObject>
    // The server refuses an object without a name before any hook sees it.
    const name = metadata?.name === undefined || metadata.name === '' ? 'a' : metadata.name
    return { ...rest, apiVersion: kind.apiVersion, kind: kind.kind, metadata: { ...metadata, name } }
  })

test.each(byName)('%s: whatever the schema lets through is judged and printed, never a crash', (_name, kind) => {
  fc.assert(
    fc.property(any(kind), any(kind), (one, other) => {
      const { strategy } = kind
      const [now, old] = [defaulted(kind, one), created(kind, other)]
      const errors = [
        ...(strategy.validate?.(now) ?? []),
        ...(strategy.validateUpdate?.(strategy.prepareForUpdate?.(now, old) ?? now, old) ?? []),
        ...(strategy.validateStatusUpdate?.(now, old) ?? []),
      ]
      for (const { field, type } of errors) expect([typeof field, typeof type]).toEqual(['string', 'string'])
      for (const { cell } of kind.columns) expect(['string', 'number']).toContain(typeof cell(now, 0))
      for (const read of Object.values(strategy.selectableFields ?? {})) expect(typeof read(now)).toBe('string')
      expect(strategy.deleteGraceSeconds?.(now) ?? 0).toBeTypeOf('number')
    }),
    runs,
  )
})

test.each(byName)('%s: defaults fit the schema, change nothing the second time, and leave their input alone', (_name, kind) => {
  fc.assert(
    fc.property(any(kind), (object) => {
      const before = structuredClone(object)
      const once = defaulted(kind, object)
      expect(defaulted(kind, once)).toEqual(once)
      expect(parsed(kind, once)).toEqual(once)
      expect(object).toEqual(before)
    }),
    runs,
  )
})
