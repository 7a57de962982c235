import fc from 'fast-check'
import { expect, test } from 'vitest'
import { kindPrefix, objectKey, parseObjectKey } from './keys.ts'

test('keys group by kind and namespace', () => {
  expect(objectKey({ group: '', plural: 'pods' }, 'default', 'web')).toBe('/skiff/objects/core/pods/default/web')
  expect(objectKey({ group: '', plural: 'nodes' }, undefined, 'n1')).toBe('/skiff/objects/core/nodes/-/n1')
  expect(objectKey({ group: 'apps', plural: 'deployments' }, 'a', 'b')).toBe('/skiff/objects/apps/deployments/a/b')
})

test('one kind never lists another whose name begins the same', () => {
  const key = objectKey({ group: 'x.io', plural: 'foobars' }, 'a', 'b')
  expect(key.startsWith(kindPrefix({ group: 'x.io', plural: 'foobars' }))).toBe(true)
  expect(key.startsWith(kindPrefix({ group: 'x.io', plural: 'foo' }))).toBe(false)
})

test('every key is read back to the parts it was made of', () => {
  const part = fc.string({ minLength: 1 }).filter((text) => !text.includes('/') && text !== '-' && text !== 'core')
  fc.assert(
    fc.property(
      fc.option(part, { nil: '' }),
      part,
      fc.option(part, { nil: undefined }),
      part,
      (group, plural, namespace, name) => {
        expect(parseObjectKey(objectKey({ group, plural }, namespace, name))).toEqual({ group, plural, namespace, name })
      },
    ),
  )
})

test.each(['/skiff/elections/x', '/skiff/objects/core/pods/a', '/skiff/objects/core/pods/a/b/c', '/skiff/objects/core//a/b', ''])(
  '"%s" is the key of no object',
  (key) => expect(parseObjectKey(key)).toBeUndefined(),
)

test.each(['', 'a/b', '../x'])('the name "%s" is refused, since it would be another key', (name) => {
  expect(() => objectKey({ group: '', plural: 'pods' }, 'a', name)).toThrow(/cannot be part of a storage key/)
})
