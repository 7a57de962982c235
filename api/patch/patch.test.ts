import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Deployment } from '../kinds/deployment.ts'
import { StatusError } from '../meta/status.ts'
import type { Json, JsonObject } from './json.ts'
import { applyJsonPatch } from './json-patch.ts'
import { applyMergePatch } from './merge-patch.ts'
import { applyStrategicMerge } from './strategic-merge.ts'
import { createThreeWayPatch } from './three-way.ts'

test.each([
  [{ a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
  [{ a: [1, 2] }, [{ op: 'add', path: '/a/1', value: 9 }], { a: [1, 9, 2] }],
  [{ a: [1] }, [{ op: 'add', path: '/a/-', value: 2 }], { a: [1, 2] }],
  [{ a: 1, b: 2 }, [{ op: 'remove', path: '/a' }], { b: 2 }],
  [{ a: { b: 1 } }, [{ op: 'replace', path: '/a/b', value: null }], { a: { b: null } }],
  [{ a: 1 }, [{ op: 'move', from: '/a', path: '/b' }], { b: 1 }],
  [{ a: { x: 1 } }, [{ op: 'copy', from: '/a', path: '/b' }], { a: { x: 1 }, b: { x: 1 } }],
  [{ 'a/b~c': 1 }, [{ op: 'remove', path: '/a~1b~0c' }], {}],
  [
    { a: [1] },
    [
      { op: 'test', path: '/a', value: [1] },
      { op: 'remove', path: '/a' },
    ],
    {},
  ],
  [{ a: 1 }, [{ op: 'replace', path: '', value: { b: 1 } }], { b: 1 }],
] as [Json, Json, Json][])('JSON patch: %j with %j is %j', (target, patch, expected) => {
  expect(applyJsonPatch(target, patch)).toEqual(expected)
})

test.each([
  [[{ op: 'remove', path: '/missing' }], 422, '"missing" does not exist'],
  [[{ op: 'replace', path: '/missing', value: 1 }], 422, 'does not exist'],
  [[{ op: 'test', path: '/a', value: 2 }], 422, 'another'],
  [[{ op: 'add', path: '/list/9', value: 1 }], 422, 'no place'],
  [[{ op: 'jump', path: '/a' }], 400, 'unknown op'],
  [[{ op: 'add', path: 'a', value: 1 }], 400, 'begin with "/"'],
  [[{ op: 'add', path: '/__proto__/x', value: 1 }], 400, 'prototype'],
  [{}, 400, 'list of operations'],
  [Array(10_001).fill({ op: 'remove', path: '/a' }), 413, 'at most'],
] as [Json, number, string][])('JSON patch %j is refused with %d', (patch, code, message) => {
  const run = () => applyJsonPatch({ a: 1, list: [] }, patch)
  expect(run).toThrow(message)
  try {
    run()
  } catch (err) {
    expect(err).toBeInstanceOf(StatusError)
    expect((err as StatusError).status.code).toBe(code)
  }
})

test('merge patch: null removes, objects merge, lists are replaced', () => {
  const target = { a: { b: 1, c: 2 }, list: [1, 2], keep: true }
  expect(applyMergePatch(target, { a: { b: null, d: 3 }, list: [9] })).toEqual({ a: { c: 2, d: 3 }, list: [9], keep: true })
  expect(() => applyMergePatch({}, JSON.parse('{"__proto__": {"x": 1}}') as Json)).toThrow('__proto__')
})

test('no patch changes what it was given', () => {
  const target = Object.freeze({ a: Object.freeze({ b: 1 }), list: Object.freeze([1]) }) as unknown as JsonObject
  applyMergePatch(target, { a: { b: 2 } })
  applyJsonPatch(target, [{ op: 'add', path: '/list/-', value: 2 }])
  applyStrategicMerge(Deployment.schema, target, { a: { b: 2 } })
  expect(target).toEqual({ a: { b: 1 }, list: [1] })
})

const live = (): JsonObject => ({
  metadata: { name: 'web', finalizers: ['a', 'b'], labels: { app: 'web' } },
  spec: {
    replicas: 3,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%' } },
    template: {
      spec: {
        containers: [
          { name: 'one', image: 'x:1', ports: [{ containerPort: 80, protocol: 'TCP' }] },
          { name: 'two', image: 'y:1' },
        ],
      },
    },
  },
})
const strategic = (patch: Json) =>
  applyStrategicMerge(Deployment.schema, live(), patch) as {
    readonly metadata: JsonObject
    readonly spec: {
      readonly strategy: Json
      readonly template: { readonly spec: { readonly containers: readonly JsonObject[] } }
    }
  }
const containers = (list: Json, more: JsonObject = {}): Json => ({ spec: { template: { spec: { containers: list, ...more } } } })

test('strategic merge: list items merge by their key', () => {
  const result = strategic(
    containers([
      { name: 'two', image: 'y:2' },
      { name: 'three', image: 'z' },
    ]),
  )
  expect(result.spec.template.spec.containers.map(({ name, image }) => [name, image])).toEqual([
    ['one', 'x:1'],
    ['two', 'y:2'],
    ['three', 'z'],
  ])
})

test('strategic merge: $patch deletes an item, replaces a list or an object', () => {
  expect(strategic(containers([{ name: 'one', $patch: 'delete' }])).spec.template.spec.containers).toHaveLength(1)
  expect(strategic(containers([{ $patch: 'replace' }, { name: 'only', image: 'o' }])).spec.template.spec.containers).toEqual([
    { name: 'only', image: 'o' },
  ])
  expect(strategic({ spec: { strategy: { $patch: 'replace', type: 'Recreate' } } }).spec.strategy).toEqual({ type: 'Recreate' })
})

test('strategic merge: $retainKeys drops the rest, $setElementOrder orders, sets merge and lose values', () => {
  expect(strategic({ spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } }).spec.strategy).toEqual({
    type: 'Recreate',
  })
  const order = { '$setElementOrder/containers': [{ name: 'two' }, { name: 'one' }] }
  expect(
    strategic(containers([{ name: 'one', image: 'x:2' }], order)).spec.template.spec.containers.map(({ name }) => name),
  ).toEqual(['two', 'one'])
  expect(strategic({ metadata: { finalizers: ['c'] } }).metadata['finalizers']).toEqual(['a', 'b', 'c'])
  expect(strategic({ metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } }).metadata['finalizers']).toEqual(['b'])
})

test('strategic merge: an item without its key is named', () => {
  expect(() => strategic(containers([{ image: 'x' }]))).toThrow(
    'spec.template.spec.containers: an item of the patch has no "name"',
  )
})

test('three ways: what was applied and is no more goes, what others set stays', () => {
  const original = { metadata: { labels: { app: 'web', old: 'x' } }, spec: { replicas: 3 } }
  const modified = { metadata: { labels: { app: 'web' } }, spec: { replicas: 5 } }
  const current = { metadata: { labels: { app: 'web', old: 'x', others: 'stay' } }, spec: { replicas: 3, paused: true } }
  const patch = createThreeWayPatch(original, modified, current, Deployment.schema)
  expect(patch).toEqual({ metadata: { labels: { old: null } }, spec: { replicas: 5 } })
})

test('three ways: a changed strategy drops the parameters of the old one', () => {
  const modified = { spec: { strategy: { type: 'Recreate' } } }
  const patch = createThreeWayPatch({}, modified, live(), Deployment.schema)
  expect(strategic(patch).spec.strategy).toEqual({ type: 'Recreate' })
})

const anyContainers = fc.uniqueArray(fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), image: fc.constantFrom('x', 'y') }), {
  selector: ({ name }) => name,
})
const anyState = fc
  .record({ labels: fc.dictionary(fc.constantFrom('p', 'q', 'r'), fc.constantFrom('1', '2')), containers: anyContainers })
  .map(
    ({ labels, containers: list }): JsonObject => ({
      metadata: { labels },
      spec: { template: { spec: { containers: list } } },
    }),
  )

test('three ways: the patch of any change leads to what was wanted, and then there is nothing to do', () => {
  fc.assert(
    fc.property(anyState, anyState, (original, modified) => {
      const patch = createThreeWayPatch(original, modified, original, Deployment.schema)
      const result = applyStrategicMerge(Deployment.schema, original, patch)
      expect(result).toEqual(modified)
      expect(createThreeWayPatch(modified, modified, result, Deployment.schema)).toEqual({})
    }),
  )
})

test('JSON patch: copies of copies do not grow without end', () => {
  const patch = Array.from({ length: 40 }, () => ({ op: 'copy', from: '', path: '/next' }))
  expect(() => applyJsonPatch({ a: 1 }, patch)).not.toThrow()
  const doubling = Array.from({ length: 40 }, (_, index) => ({ op: 'copy', from: '/a', path: `/a/${index}` }))
  expect(() => applyJsonPatch({ a: [] }, doubling)).toThrow('more than 100000 values')
})

test('strategic merge: a list of very many items is refused, and named', () => {
  const many = Array.from({ length: 3000 }, (_, index) => ({ name: `c${index}` }))
  expect(() => strategic(containers(many))).toThrow('spec.template.spec.containers: at most 2000 items')
})

test('a label may be called like something that every object has', () => {
  const patch = { metadata: { labels: { constructor: 'x', toString: null } } }
  expect(strategic(patch).metadata['labels']).toEqual({ app: 'web', constructor: 'x' })
  expect(applyMergePatch({}, { constructor: { a: 1 } })).toEqual({ constructor: { a: 1 } })
})

test('three ways: an amount that is only written otherwise is no change', () => {
  const withMemory = (memory: string) => ({
    spec: { template: { spec: { containers: [{ name: 'c', resources: { limits: { memory } } }] } } },
  })
  const modified = withMemory('1024Mi')
  expect(createThreeWayPatch(modified, modified, withMemory('1Gi'), Deployment.schema)).toEqual({})
  expect(createThreeWayPatch(modified, modified, withMemory('2Gi'), Deployment.schema)).not.toEqual({})
})

test('strategic merge: a directive that does not exist is named', () => {
  expect(() => strategic({ spec: { $ptach: 'delete' } })).toThrow('spec.$ptach: unknown directive')
})
