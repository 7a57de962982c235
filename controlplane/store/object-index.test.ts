import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { bucketOf, cacheKeyOf, ObjectIndex } from './object-index.ts'

const kind = { group: 'apps', plural: 'things' }
const name = fc.constantFrom('a', 'a-b', 'ab', 'b', 'z.y')
const change = fc.record({
  namespace: fc.option(fc.constantFrom('n', 'n-1', 'm'), { nil: undefined }),
  name,
  owners: fc.array(fc.constantFrom('u1', 'u2'), { maxLength: 2 }),
  isDelete: fc.boolean(),
})

test('holds after any changes what a plain map would hold, in order of keys', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const index = new ObjectIndex()
      const plain = new Map<string, ApiObject>()
      for (const { namespace, name: objectName, owners, isDelete } of changes) {
        const place = { ...kind, namespace, name: objectName }
        const ownerReferences = owners.map((uid) => ({ apiVersion: 'v1', kind: 'X', name: uid, uid }))
        const metadata = { name: objectName, ...(namespace === undefined ? {} : { namespace }), ownerReferences }
        const object = isDelete ? undefined : { apiVersion: 'apps/v1', kind: 'Thing', metadata }
        expect(index.replace(place, object)).toBe(plain.get(cacheKeyOf(place)))
        if (object === undefined) plain.delete(cacheKeyOf(place))
        else plain.set(cacheKeyOf(place), object)
      }
      const sorted = [...plain].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object)
      const bucket = bucketOf(kind)
      expect(index.list(bucket, undefined)).toEqual(sorted)
      expect(index.count(bucket)).toBe(sorted.length)
      for (const namespace of ['n', 'n-1', 'm', 'none']) {
        expect(index.list(bucket, namespace)).toEqual(sorted.filter((object) => object.metadata.namespace === namespace))
      }
      for (const uid of ['u1', 'u2']) {
        const owned = sorted.filter((object) => object.metadata.ownerReferences?.some((owner) => owner.uid === uid))
        expect(new Set(index.ownedBy(uid))).toEqual(new Set(owned))
      }
    }),
  )
})

test('a list that was handed out does not change', () => {
  const index = new ObjectIndex()
  const object = { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'a' } }
  index.replace({ ...kind, namespace: undefined, name: 'a' }, object)
  const before = index.list(bucketOf(kind), undefined)
  index.replace({ ...kind, namespace: undefined, name: 'a' }, undefined)
  expect(before).toEqual([object])
  expect(Object.isFrozen(before)).toBe(true)
})

test('keeps order with more objects than stand in one run, put and taken in any order', () => {
  const names = fc.array(fc.integer({ min: 0, max: 1_500 }), { minLength: 600, maxLength: 1_500 })
  fc.assert(
    fc.property(names, names, (put, taken) => {
      const index = new ObjectIndex()
      const plain = new Map<string, ApiObject>()
      const namespace = 'n'
      const nameOf = (number: number): string => String(number).padStart(4, '0')
      for (const number of put) {
        const object = { apiVersion: 'apps/v1', kind: 'Thing', metadata: { name: nameOf(number), namespace } }
        expect(index.replace({ ...kind, namespace, name: nameOf(number) }, object)).toBe(plain.get(nameOf(number)))
        plain.set(nameOf(number), object)
      }
      const inOrder = (): readonly ApiObject[] => [...plain].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object)
      expect(index.list(bucketOf(kind), namespace)).toEqual(inOrder())
      for (const number of taken) {
        index.replace({ ...kind, namespace, name: nameOf(number) }, undefined)
        plain.delete(nameOf(number))
      }
      expect(index.list(bucketOf(kind), namespace)).toEqual(inOrder())
      expect(index.list(bucketOf(kind), undefined)).toEqual(inOrder())
      for (const name of plain.keys()) index.replace({ ...kind, namespace, name }, undefined)
      expect(index.list(bucketOf(kind), undefined)).toEqual([])
    }),
    { numRuns: 20 },
  )
})
