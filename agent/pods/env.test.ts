import { expect, test } from 'vitest'
import { type EnvFacts, environment } from './env.ts'
import { expand } from './expand.ts'
import type { Container, EnvVar } from './pod-types.ts'
import { TestDesired, testPod } from './testing/doubles.ts'

const desired = new TestDesired()
const metadata = { name: 'settings', namespace: 'default' }
desired.configMaps.set('default/settings', {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata,
  data: { level: 'debug', '1bad': 'x', 'a.b': 'y' },
})
const password = Buffer.from('hunter2').toString('base64')
desired.secrets.set('default/login', {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'login', namespace: 'default' },
  data: { password },
})

const facts: EnvFacts = {
  pod: {
    ...testPod({ serviceAccountName: 'robot' }),
    metadata: { name: 'web', namespace: 'default', uid: 'uid-1', labels: { app: 'shop' }, annotations: { 'x.io/a': 'b' } },
  },
  node: { name: 'node-1', ip: '192.0.2.1', cpuMilli: 4000, memoryBytes: 8_000_000_000 },
  podIp: '10.1.0.1',
  configs: desired,
  base: { KUBERNETES_SERVICE_HOST: '10.96.0.1' },
}

const container = (more: Partial<Container>): Container => ({ name: 'web', image: 'web:1', ...more })
const envOf = (more: Partial<Container>) => Object.fromEntries(environment(container(more), facts).env)
const field = (fieldPath: string): EnvVar => ({ name: 'X', valueFrom: { fieldRef: { fieldPath } } })

test.each([
  ['plain', 'plain'],
  ['$(A)-$(B)', '1-2'],
  ['$$(A)', '$(A)'],
  ['$$$(A)', '$1'],
  ['$(UNKNOWN)', '$(UNKNOWN)'],
  ['$(A', '$(A'],
  ['$', '$'],
  ['a$b$', 'a$b$'],
  ['$()', '$()'],
])('%s expands to %s', (text, expected) => {
  const values: Readonly<Record<string, string>> = { A: '1', B: '2' }
  expect(expand(text, (name) => values[name])).toBe(expected)
})

test('a variable sees those before it, the base too, and not those after it', () => {
  const env = [
    { name: 'EARLY', value: '$(LATE) $(KUBERNETES_SERVICE_HOST)' },
    { name: 'LATE', value: 'x' },
    { name: 'LAST', value: '$(LATE)' },
  ]
  expect(envOf({ env })).toMatchObject({ EARLY: '$(LATE) 10.96.0.1', LATE: 'x', LAST: 'x' })
})

test('envFrom gives all keys with the prefix, skips what is no name, and env wins', () => {
  const more = {
    envFrom: [{ configMapRef: { name: 'settings' } }, { prefix: 'L_', secretRef: { name: 'login' } }],
    env: [{ name: 'level', value: 'info' }],
  }
  const { env, skipped } = environment(container(more), facts)
  expect(Object.fromEntries(env)).toMatchObject({ level: 'info', 'a.b': 'y', L_password: 'hunter2' })
  expect(skipped).toEqual([{ source: 'configmap default/settings', keys: ['1bad'] }])
})

test.each([
  ['metadata.name', 'web'],
  ['metadata.namespace', 'default'],
  ['metadata.uid', 'uid-1'],
  ["metadata.labels['app']", 'shop'],
  ["metadata.annotations['x.io/a']", 'b'],
  ["metadata.labels['none']", ''],
  ['spec.nodeName', 'node-1'],
  ['spec.serviceAccountName', 'robot'],
  ['status.hostIP', '192.0.2.1'],
  ['status.podIP', '10.1.0.1'],
  ['status.podIPs', '10.1.0.1'],
])('the field %s is %s', (path, expected) => {
  expect(envOf({ env: [field(path)] })['X']).toBe(expected)
})

test.each([
  ['limits.cpu', undefined, '1'],
  ['limits.cpu', '1m', '500'],
  ['requests.cpu', '1m', '250'],
  ['limits.memory', '1Mi', '64'],
  ['limits.memory', undefined, String(64 * 1024 * 1024)],
  ['requests.memory', '1Mi', '64'],
] as const)('the resource %s by %s is %s', (resource, divisor, expected) => {
  const resources = { limits: { cpu: '500m', memory: '64Mi' }, requests: { cpu: '250m' } }
  const ref = divisor === undefined ? { resource } : { resource, divisor }
  expect(envOf({ resources, env: [{ name: 'X', valueFrom: { resourceFieldRef: ref } }] })['X']).toBe(expected)
})

test('a limit that is not set is what the node has', () => {
  expect(envOf({ env: [{ name: 'X', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } }] })['X']).toBe('4')
})

test.each([
  [{ configMapKeyRef: { name: 'none', key: 'k' } }, 'configmap "none" not found'],
  [{ configMapKeyRef: { name: 'settings', key: 'k' } }, "couldn't find key k in ConfigMap default/settings"],
  [{ secretKeyRef: { name: 'none', key: 'k' } }, 'secret "none" not found'],
  [{ secretKeyRef: { name: 'login', key: 'k' } }, "couldn't find key k in Secret default/login"],
  [{ fieldRef: { fieldPath: 'spec.containers' } }, 'unsupported fieldPath: spec.containers'],
  [{ resourceFieldRef: { resource: 'limits.gpu' } }, 'unsupported container resource: limits.gpu'],
] as const)('%j is refused by name', (valueFrom, message) => {
  expect(() => envOf({ env: [{ name: 'X', valueFrom }] })).toThrow(message)
})

test('what is optional may be missing', () => {
  const env = [
    { name: 'A', valueFrom: { configMapKeyRef: { name: 'none', key: 'k', optional: true } } },
    { name: 'B', valueFrom: { secretKeyRef: { name: 'login', key: 'k', optional: true } } },
    { name: 'C', valueFrom: { secretKeyRef: { name: 'login', key: 'password' } } },
  ]
  const result = envOf({ env, envFrom: [{ configMapRef: { name: 'none', optional: true } }] })
  expect(result).toEqual({ KUBERNETES_SERVICE_HOST: '10.96.0.1', C: 'hunter2' })
})
