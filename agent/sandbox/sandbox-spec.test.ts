import { expect, test } from 'vitest'
import type { Pod } from '../../api/kinds/pod.ts'
import { canTakeSpare, hostPortsOf, sandboxSpec, sparePod } from './sandbox-spec.ts'

function pod(spec: Partial<Pod['spec']> = {}): Pod {
  const ports = [
    { containerPort: 80 },
    { containerPort: 81, hostPort: 8081 },
    { containerPort: 53, hostPort: 53, protocol: 'UDP' as const, hostIP: '192.0.2.7' },
    { containerPort: 82, hostPort: 8082, hostIP: '0.0.0.0' },
  ]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', uid: 'u' },
    spec: { containers: [{ name: 'main', image: 'x', ports }], ...spec },
  }
}

test('host ports are those that name one', () => {
  expect(hostPortsOf(pod())).toEqual([
    { protocol: 'TCP', hostIp: undefined, hostPort: 8081, containerPort: 81 },
    { protocol: 'UDP', hostIp: '192.0.2.7', hostPort: 53, containerPort: 53 },
    { protocol: 'TCP', hostIp: undefined, hostPort: 8082, containerPort: 82 },
  ])
  expect(hostPortsOf(pod({ hostNetwork: true }))).toEqual([])
})

test('a sandbox carries its address and ports as labels and has no rights', () => {
  const spec = sandboxSpec({ pod: pod(), attempt: 2, image: 'skiff/pause:x', ip: '10.85.3.2' })
  expect(spec.annotations).toEqual({ ip: '10.85.3.2', 'host-ports': 'TCP::8081:81,UDP:192.0.2.7:53:53,TCP::8082:82' })
  expect(spec.identity).toMatchObject({ role: 'sandbox', container: 'POD', attempt: 2, podUid: 'u' })
  expect(spec).toMatchObject({ capabilitiesDrop: ['ALL'], readOnlyRootFilesystem: true, noNewPrivileges: true, hostname: 'web' })
})

test('the engine filters no system calls of a sandbox, unless the pod’s containers see its process', () => {
  const unfiltered = (spec: Partial<Pod['spec']>) =>
    sandboxSpec({ pod: pod(spec), attempt: 0, image: 'skiff/pause:x', ip: undefined }).unfiltered
  expect([unfiltered({}), unfiltered({ shareProcessNamespace: true })]).toEqual([true, false])
})

test('with the node’s network there is neither an address nor a host name of its own', () => {
  const spec = sandboxSpec({ pod: pod({ hostNetwork: true }), attempt: 0, image: 'skiff/pause:x', ip: undefined })
  expect(spec).toMatchObject({ annotations: {}, hostNetwork: true, hostname: undefined })
})

test('a sandbox has a network of its own that the engine leaves alone', () => {
  const spec = sandboxSpec({ pod: pod(), attempt: 0, image: 'skiff/pause:x', ip: '10.85.3.2' })
  expect(spec).toMatchObject({ hostNetwork: false, bareNetwork: true, hostname: 'web' })
  expect(spec.annotations).not.toHaveProperty('spare')
})

test('a sandbox for any pod says so on its label', () => {
  const spec = sandboxSpec({ pod: sparePod('7'), attempt: 0, image: 'skiff/pause:x', ip: '10.85.3.2' })
  expect(spec).toMatchObject({ annotations: { ip: '10.85.3.2', spare: 'spare-7' }, identity: { podUid: 'spare-7' } })
})

const plain = { containers: [{ name: 'main', image: 'x' }] }
const mounting = (mountPath: string) => ({
  containers: [{ name: 'main', image: 'x', volumeMounts: [{ name: 'v', mountPath }] }],
})
test.each<[string, Partial<Pod['spec']>, boolean]>([
  ['a plain pod', plain, true],
  ['a pod with host ports', {}, false],
  ['a pod with the node’s network', { ...plain, hostNetwork: true }, false],
  ['a pod that shares its process table', { ...plain, shareProcessNamespace: true }, false],
  ['a pod with kernel settings', { ...plain, securityContext: { sysctls: [{ name: 'net.core.somaxconn', value: '9' }] } }, false],
  ['a pod that mounts something beside the gate', mounting('/dev/shm'), true],
  ['a pod that mounts something over the gate’s folder', mounting('/dev'), false],
  ['a pod that mounts something over all', mounting('/'), false],
  ['a pod that mounts something at the gate’s place', mounting('/dev/../dev/skiff-gate'), false],
  ['a pod whose init container does', { ...plain, initContainers: mounting('/dev/').containers }, false],
])('whether %s can take a sandbox that was prepared ahead', (_what, spec, can) => {
  expect(canTakeSpare(pod(spec))).toBe(can)
})
