import { expect, test } from 'vitest'
import { type ContainerInput, containerSpec } from './container-spec.ts'
import { isImageRef } from './image-ref.ts'
import type { Container, Pod } from './pod-types.ts'
import { pullAuth, registryOf } from './pull-auth.ts'
import { specHash } from './spec-hash.ts'
import { TestDesired, testPod } from './testing/doubles.ts'

function specOf(container: Partial<Container>, more: Partial<ContainerInput> = {}) {
  const whole: Container = { name: 'web', image: 'web:1', ...container }
  return containerSpec({
    pod: testPod(),
    container: whole,
    role: 'app',
    next: { attempt: 2, streak: 1 },
    sandbox: { containerId: 'sandbox-1', ip: '10.1.0.1' },
    configs: new TestDesired(),
    image: {
      id: 'sha256:1',
      tags: ['web:1'],
      digests: [],
      sizeBytes: 1,
      user: '',
      entrypoint: ['/run'],
      command: ['now'],
      variables: [],
    },
    node: { name: 'node-1', ip: '192.0.2.1', cpuMilli: 4000, memoryBytes: 8e9 },
    serviceEnv: {},
    volumeMounts: [],
    files: [],
    gate: undefined,
    terminationLog: '/log',
    ...more,
  }).spec
}

test('identity, attempt and streak are written on the container', () => {
  expect(specOf({})).toMatchObject({
    identity: { podUid: 'uid-1', podNamespace: 'default', podName: 'web', role: 'app', container: 'web', attempt: 2 },
    sandboxId: 'sandbox-1',
    annotations: { sandbox: 'sandbox-1', streak: '1', 'grace-ms': '30000' },
  })
})

test('command and args see the environment', () => {
  const env = [{ name: 'PORT', value: '8080' }]
  expect(specOf({ env, command: ['serve'], args: ['--port=$(PORT)', '$$(PORT)'] })).toMatchObject({
    command: ['serve'],
    args: ['--port=8080', '$(PORT)'],
    env,
  })
})

test.each([
  [{ limits: { cpu: '500m', memory: '64Mi' } }, { cpuShares: 512, cpuLimitMicro: 500_000, memoryLimitBytes: 67_108_864 }],
  [{ requests: { cpu: '2' } }, { cpuShares: 2048, cpuLimitMicro: undefined, memoryLimitBytes: undefined }],
  [{}, { cpuShares: 2, cpuLimitMicro: undefined }],
  [{ limits: { cpu: '1m', memory: '1Mi' } }, { cpuShares: 2, cpuLimitMicro: 10_000, memoryLimitBytes: 6_291_456 }],
])('resources %j mean %j to the engine', (resources, expected) => {
  expect(specOf({ resources })).toMatchObject(expected)
})

test('the container’s own security settings win over the pod’s', () => {
  const pod = testPod({ securityContext: { runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [4000, 3000] } })
  expect(specOf({}, { pod })).toMatchObject({ user: '1000:2000', groups: ['4000', '3000'] })
  const securityContext = {
    runAsUser: 5,
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { add: ['CAP_NET_ADMIN'], drop: ['all'] },
  }
  expect(specOf({ securityContext }, { pod })).toMatchObject({
    user: '5:2000',
    readOnlyRootFilesystem: true,
    noNewPrivileges: true,
    capabilitiesAdd: ['NET_ADMIN'],
    capabilitiesDrop: ['ALL'],
  })
})

test.each([
  ['', 'image will run as root'],
  ['0:0', 'image will run as root'],
  ['www', 'non-numeric user (www)'],
])('runAsNonRoot refuses the image user "%s"', (user, message) => {
  const image = { id: 'i', tags: [], digests: [], sizeBytes: 1, user, entrypoint: [], command: [], variables: [] }
  expect(() => specOf({ securityContext: { runAsNonRoot: true } }, { image })).toThrow(message)
})

test('runAsNonRoot takes a numeric user, and refuses an explicit root', () => {
  const image = { id: 'i', tags: [], digests: [], sizeBytes: 1, user: '101', entrypoint: [], command: [], variables: [] }
  expect(specOf({ securityContext: { runAsNonRoot: true } }, { image }).user).toBeUndefined()
  expect(() => specOf({ securityContext: { runAsNonRoot: true, runAsUser: 0 } })).toThrow('breaks non-root policy')
})

test('a volume mounted over a file of ours wins', () => {
  const hosts = { source: '/ours', target: '/etc/hosts', readOnly: false }
  const own = { source: '/volume', target: '/etc/hosts', readOnly: true }
  const { mounts } = specOf({ terminationMessagePath: '/words' }, { files: [hosts], volumeMounts: [own] })
  expect(mounts).toEqual([own, { source: '/log', target: '/words', readOnly: false }])
})

test('hostNetwork joins no sandbox network', () => {
  expect(specOf({}, { pod: testPod({ hostNetwork: true }) })).toMatchObject({ hostNetwork: true, sandboxId: undefined })
})

test('a shared process table is that of the sandbox, with any network', () => {
  expect(specOf({}).processesOf).toBeUndefined()
  expect(specOf({}, { pod: testPod({ shareProcessNamespace: true }) }).processesOf).toBe('sandbox-1')
  expect(specOf({}, { pod: testPod({ shareProcessNamespace: true, hostNetwork: true }) })).toMatchObject({
    sandboxId: undefined,
    processesOf: 'sandbox-1',
  })
})

test('the hash follows what needs a new container, and nothing else', () => {
  const base: Container = { name: 'web', image: 'web:1', env: [{ name: 'A', value: '1' }] }
  expect(specHash({ env: [{ value: '1', name: 'A' }], image: 'web:1', name: 'web' })).toBe(specHash(base))
  expect(specHash({ ...base, image: 'web:2' })).not.toBe(specHash(base))
  expect(specHash({ ...base, readinessProbe: { exec: { command: ['x'] } }, imagePullPolicy: 'Always' })).toBe(specHash(base))
})

test.each([
  ['web', true],
  ['web:1', true],
  ['registry.example:5000/shop/web:1.2_x', true],
  [`shop/web@sha256:${'a'.repeat(64)}`, true],
  ['localhost/x', true],
  ['', false],
  ['Web', false],
  ['web:', false],
  ['web: 1', false],
  ['-web', false],
  ['a//b', false],
  ['web@sha256:zz', false],
  ['x'.repeat(600), false],
])('"%s" as an image: %s', (text, expected) => expect(isImageRef(text)).toBe(expected))

test('the login of the image’s registry is found in the pod’s pull secrets', () => {
  const desired = new TestDesired()
  const put = (name: string, value: unknown): void => {
    const data = {
      '.dockerconfigjson': Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64'),
    }
    desired.secrets.set(`default/${name}`, { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'default' }, data })
  }
  put('broken', '{')
  put('hub', { auths: { 'https://index.docker.io/v1/': { auth: Buffer.from('me:se:cret').toString('base64') } } })
  put('own', { auths: { 'registry.example:5000': { username: 'bot', password: 'x' } } })
  const pod: Pod = testPod({ imagePullSecrets: [{ name: 'missing' }, { name: 'broken' }, { name: 'hub' }, { name: 'own' }] })
  expect(pullAuth(pod, 'nginx:1', desired)).toEqual({
    username: 'me',
    password: 'se:cret',
    serverAddress: 'https://index.docker.io/v1/',
  })
  expect(pullAuth(pod, 'registry.example:5000/a', desired)).toMatchObject({
    username: 'bot',
    serverAddress: 'registry.example:5000',
  })
  expect(pullAuth(pod, 'other.example/a', desired)).toBeUndefined()
  expect(registryOf('shop/web:1')).toBe('docker.io')
})
