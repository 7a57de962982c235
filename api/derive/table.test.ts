import { expect, test } from 'vitest'
import { ConfigMap } from '../kinds/config-map.ts'
import type { KindDef } from '../kinds/define.ts'
import { toTable } from './table.ts'

const object = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'a', creationTimestamp: '2026-01-01T00:00:00Z' },
  data: { x: '1' },
}
const options = { includeObject: 'Metadata', nowMs: Date.UTC(2026, 0, 1, 0, 5), withColumns: true } as const

test('objects become rows under the kind’s columns', () => {
  const table = toTable(ConfigMap as KindDef, [object], { resourceVersion: '7' }, options)
  expect(table.columnDefinitions.map(({ name, priority }) => [name, priority])).toEqual([
    ['Name', 0],
    ['Data', 0],
    ['Age', 0],
  ])
  expect(table.rows[0]?.cells).toEqual(['a', 1, '5m'])
  expect(table.rows[0]?.object).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'a' } })
  expect(table.metadata.resourceVersion).toBe('7')
})

test('the object comes along as asked, columns only where wanted', () => {
  const whole = toTable(
    ConfigMap as KindDef,
    [object],
    { resourceVersion: '7' },
    { ...options, includeObject: 'Object', withColumns: false },
  )
  expect(whole.rows[0]?.object).toEqual(object)
  expect(whole.columnDefinitions).toEqual([])
  const none = toTable(ConfigMap as KindDef, [object], { resourceVersion: '7' }, { ...options, includeObject: 'None' })
  expect(none.rows[0]).not.toHaveProperty('object')
})
