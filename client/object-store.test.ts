import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ApiObject, keyOf } from '../api/meta/object-meta.ts'
import { ObjectStore } from './object-store.ts'

const made = (namespace: string, name: string, owner: string): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace, name, ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner }] },
})

test('indexes say the same as a look at all objects, whatever happened before', () => {
  const change = fc.record({
    isDeleted: fc.boolean(),
    namespace: fc.constantFrom('x', 'y'),
    name: fc.constantFrom('a', 'b', 'c'),
    owner: fc.constantFrom('1', '2'),
  })
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const store = new ObjectStore<ApiObject>()
      const expected = new Map<string, ApiObject>()
      for (const { isDeleted, namespace, name, owner } of changes) {
        const object = made(namespace, name, owner)
        if (isDeleted) store.delete(keyOf(object))
        else store.put(keyOf(object), object)
        if (isDeleted) expected.delete(keyOf(object))
        else expected.set(keyOf(object), object)
      }
      store.addIndex('name', (object) => [object.metadata.name ?? ''])
      const all = [...expected.values()]
      expect(new Set(store.list('x'))).toEqual(new Set(all.filter((one) => one.metadata.namespace === 'x')))
      expect(new Set(store.ownedBy('1'))).toEqual(new Set(all.filter((one) => one.metadata.ownerReferences?.[0]?.uid === '1')))
      expect(new Set(store.byIndex('name', 'b'))).toEqual(new Set(all.filter((one) => one.metadata.name === 'b')))
      expect(store.list()).toHaveLength(all.length)
    }),
  )
})
