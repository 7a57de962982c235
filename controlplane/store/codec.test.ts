import { expect, test } from 'vitest'
import { jsonOf } from '../../api/meta/json-of.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { decodeObject, encodeObject } from './codec.ts'

const key = '/skiff/objects/core/configmaps/one/näme'
const item = (value: Uint8Array) => ({ key, value, createRevision: 3, modRevision: 17 })
const metadata = { name: 'näme', namespace: 'one', labels: { a: '"}' } }
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

test.each<[string, object]>([
  ['in the order in which they are written', { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { k: '✓' } }],
  ['in another order', { data: { metadata: '{' }, metadata, kind: 'ConfigMap', apiVersion: 'v1' }],
])('what is sent of a stored object is its JSON with its revision, its fields %s', (_, object) => {
  for (const value of [encodeObject(object as ApiObject), new TextEncoder().encode(JSON.stringify(object))]) {
    const decoded = decodeObject(item(value))
    const sent: unknown = JSON.parse(textOf(jsonOf(decoded)))
    expect(sent).toEqual(decoded)
    expect(sent).toEqual({ ...object, metadata: { ...metadata, resourceVersion: '17' } })
  }
})

test('a value is stored without a revision, and its fields begin with what it is', () => {
  const object = { data: {}, metadata: { resourceVersion: '5', ...metadata }, kind: 'ConfigMap', apiVersion: 'v1' }
  const text = textOf(encodeObject(object as unknown as ApiObject))
  expect(text).toMatch(/^\{"apiVersion":"v1","kind":"ConfigMap","metadata":\{"name":"näme"/)
  expect(text).not.toContain('resourceVersion')
})

test('the bytes of an object are made once', () => {
  const decoded = decodeObject(item(encodeObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata } as ApiObject)))
  expect(jsonOf(decoded)).toBe(jsonOf(decoded))
})
