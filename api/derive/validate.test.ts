import { expect, test } from 'vitest'
import { ConfigMap } from '../kinds/config-map.ts'
import type { KindDef } from '../kinds/define.ts'
import { Deployment } from '../kinds/deployment.ts'
import { Pod } from '../kinds/pod.ts'
import { kinds } from '../kinds/registry.ts'
import { Secret } from '../kinds/secret.ts'
import { StatusError } from '../meta/status.ts'
import { builders } from '../testing/builders.ts'
import { type DecodeOptions, decodeObject, withDefaults } from './validate.ts'

const podWith = (spec: object) => ({ metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }], ...spec } })
const deploymentWith = (spec: object) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd' },
  spec: { selector: { matchLabels: { a: 'b' } }, template: { spec: { containers: [{ name: 'c' }] } }, ...spec },
})

function refusal(kind: KindDef, input: unknown, options?: DecodeOptions): string {
  try {
    decodeObject(kind, input, options)
  } catch (err) {
    if (err instanceof StatusError && err.status.code === 400) return err.message
    throw err
  }
  return 'accepted'
}

test.each(kinds.map((kind) => [kind.kind, kind] as const))('a valid %s is read without any complaint', (name, kind) => {
  const { errors, warnings } = decodeObject(kind, builders[name]?.(), { fieldValidation: 'Strict' })
  expect({ errors, warnings }).toEqual({ errors: [], warnings: [] })
})

test('an unknown field is an error under Strict, a warning by default, and dropped in silence under Ignore', () => {
  const input = podWith({ foo: 1, containers: [{ name: 'c', imagee: 'x' }] })
  expect(refusal(Pod, input, { fieldValidation: 'Strict' })).toBe(
    'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].imagee", unknown field "spec.foo"',
  )
  const warned = decodeObject(Pod, input)
  expect(warned.warnings).toEqual(['unknown field "spec.containers[0].imagee"', 'unknown field "spec.foo"'])
  expect(warned.object.spec).not.toHaveProperty('foo')
  expect(decodeObject(Pod, input, { fieldValidation: 'Ignore' }).warnings).toEqual([])
})

test.each([
  [deploymentWith({ replicas: 'three' }), 'spec.replicas: expected integer, got string "three"'],
  [deploymentWith({ replicas: 1.5 }), 'spec.replicas: expected integer, got number 1.5'],
  [deploymentWith({ template: [] }), 'spec.template: expected object, got a list'],
  [deploymentWith({ selector: { matchLabels: { a: 1 } } }), 'spec.selector.matchLabels.a: expected string, got number 1'],
  [deploymentWith({ strategy: { type: 7 } }), 'spec.strategy.type: expected string, got number 7'],
  [deploymentWith({ paused: 'yes' }), 'spec.paused: expected boolean, got string "yes"'],
])('a value of the wrong type is named by its path', (input, message) => {
  expect(refusal(Deployment, input)).toBe(`Deployment in version "v1" cannot be handled as a Deployment: ${message}`)
})

test.each([
  [deploymentWith({ replicas: 3_000_000_000 }), Deployment, 'spec.replicas', 'must be less than or equal to 2147483647'],
  [
    podWith({ containers: [{ name: 'c', resources: { limits: { cpu: 'lots' } } }] }),
    Pod,
    'spec.containers[0].resources.limits.cpu',
    'must be a quantity such as 500m or 64Mi',
  ],
  [{ metadata: { name: 's' }, data: { 'a.b': '***' } }, Secret, 'data[a.b]', 'must be base64'],
  [{ ...podWith({}), metadata: { creationTimestamp: 'yesterday' } }, Pod, 'metadata.creationTimestamp', 'must be a date-time'],
  [
    { ...podWith({}), metadata: { creationTimestamp: '2026-99-99T00:00:00Z' } },
    Pod,
    'metadata.creationTimestamp',
    'must be a date-time',
  ],
] as const)('a value out of range is a field error: %#', (input, kind, field, detail) => {
  const { errors } = decodeObject(kind as unknown as KindDef, input)
  expect(errors).toEqual([expect.objectContaining({ field, detail, type: 'FieldValueInvalid' })])
})

test('a quantity is a text or a number, and base64 may have line ends', () => {
  const input = podWith({ containers: [{ name: 'c', resources: { limits: { cpu: true } } }] })
  expect(refusal(Pod, input)).toContain('spec.containers[0].resources.limits.cpu: expected string or number, got boolean true')
  expect(decodeObject(Secret, { metadata: { name: 's' }, data: { a: 'AAEC\nAwQF\n' } }).errors).toEqual([])
})

test.each([
  ['text', 'the body is string "text", expected an object of kind Pod'],
  [[], 'the body is a list, expected an object of kind Pod'],
  [null, 'the body is null, expected an object of kind Pod'],
  [{ apiVersion: 'v2', kind: 'Pod' }, 'the object is a v2 Pod, which cannot be handled as a v1 Pod'],
  [{ apiVersion: 'v1', kind: 'Pot' }, 'the object is a v1 Pot, which cannot be handled as a v1 Pod'],
])('what is no object of the kind is refused', (input, message) => {
  expect(refusal(Pod, input)).toContain(message)
})

test('required fields and unknown values of an enumeration are field errors', () => {
  const { errors } = decodeObject(Pod, podWith({ restartPolicy: 'Sometimes', containers: [{ image: 'i' }] }))
  expect(errors.map(({ field, type }) => `${field} ${type}`)).toEqual([
    'spec.containers[0].name FieldValueRequired',
    'spec.restartPolicy FieldValueNotSupported',
  ])
})

test('fields that Skiff refuses are errors, fields that it ignores are warnings and kept', () => {
  const volumes = [{ name: 'v', nfs: { server: 's', path: '/' } }]
  const { errors, warnings, object } = decodeObject(Pod, podWith({ volumes, runtimeClassName: 'x', preemptionPolicy: 'Never' }))
  expect(errors).toContainEqual({
    field: 'spec.volumes[0].nfs',
    type: 'FieldValueForbidden',
    detail: 'is not supported by Skiff',
  })
  expect(warnings).toEqual(['spec.preemptionPolicy: has no effect in Skiff'])
  expect(object.spec.preemptionPolicy).toBe('Never')
})

test('nulls and zero values count as absent where Go cannot tell them apart', () => {
  const { object, errors } = decodeObject(
    Pod,
    podWith({
      nodeName: null,
      restartPolicy: '',
      containers: [{ name: 'c', livenessProbe: { periodSeconds: 0, httpGet: { port: 80 } } }],
    }),
  )
  expect(errors).toEqual([])
  expect(object.spec).not.toHaveProperty('nodeName')
  expect(withDefaults(Pod, object).spec.containers[0]?.livenessProbe?.periodSeconds).toBe(10)
})

test('zero is kept where a field may be zero', () => {
  expect(decodeObject(Deployment, deploymentWith({ replicas: 0, revisionHistoryLimit: 0 })).object.spec).toMatchObject({
    replicas: 0,
    revisionHistoryLimit: 0,
  })
})

test('an empty list or map is none, except where one is required; an empty message is one', () => {
  const metadata = { name: 'p', labels: {}, annotations: {}, ownerReferences: [], finalizers: ['a.b/c'] }
  const { object } = decodeObject(Pod, {
    metadata,
    spec: { containers: [], tolerations: [], volumes: [{ name: 'v', emptyDir: {} }] },
  })
  expect(object.metadata).toEqual({ name: 'p', finalizers: ['a.b/c'] })
  expect(object).toMatchObject({ spec: { containers: [], volumes: [{ name: 'v', emptyDir: {} }] } })
  expect(object).not.toHaveProperty('spec.tolerations')
})

test('a key without value in a map of texts is kept, empty', () => {
  expect(decodeObject(ConfigMap, { metadata: { name: 'c' }, data: { a: null, b: '' } }).object.data).toEqual({ a: '', b: '' })
})

test('quantities take their canonical form', () => {
  const limits = { cpu: 0.5, memory: '1024Mi' }
  const { object } = decodeObject(Pod, podWith({ containers: [{ name: 'c', resources: { limits } }] }))
  expect(object.spec.containers[0]?.resources?.limits).toEqual({ cpu: '500m', memory: '1Gi' })
})

test('keys that would reach a prototype do no harm', () => {
  const input: unknown = JSON.parse('{"metadata":{"name":"c","constructor":{"prototype":{"a":1}}},"data":{"constructor":"x"}}')
  const { object, warnings } = decodeObject(ConfigMap, input)
  expect(object.data).toEqual({ constructor: 'x' })
  expect(warnings).toEqual(['unknown field "metadata.constructor"'])
  const evil: unknown = JSON.parse('{"metadata":{"name":"c"},"data":{"__proto__":"x"}}')
  const read = decodeObject(ConfigMap, evil)
  expect(read.warnings).toEqual(['unknown field "data.__proto__"'])
  expect(Object.getPrototypeOf(read.object.data)).toBe(Object.prototype)
})

test('a document that is nested too deep is refused', () => {
  let deep: unknown = {}
  for (let depth = 0; depth < 10_000; depth++) deep = { a: deep }
  expect(refusal(Pod, podWith({ affinity: { nodeAffinity: deep } }))).toBe('accepted') // Unknown: not followed.
  expect(refusal(Pod, { metadata: { managedFields: [deep] } })).toContain('nested too deep')
})

test('the input stays as it is', () => {
  const input = deploymentWith({ replicas: 2, foo: null })
  const before = structuredClone(input)
  decodeObject(Deployment, input)
  expect(input).toEqual(before)
})
