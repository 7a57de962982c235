import { expect, test } from 'vitest'
import type { Pod } from '../../api/kinds/pod.ts'
import { hostPortsOf, needsEngineNetwork, sandboxSpec } from './sandbox-spec.ts'

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

test('with the node’s network there is neither an address nor a host name of its own', () => {
  const spec = sandboxSpec({ pod: pod({ hostNetwork: true }), attempt: 0, image: 'skiff/pause:x', ip: undefined })
  expect(spec).toMatchObject({ annotations: {}, hostNetwork: true, hostname: undefined })
})

test('a sandbox that makes its own network says so on its label, and is told by an argument', () => {
  const spec = sandboxSpec({ pod: pod(), attempt: 0, image: 'skiff/pause:x', ip: '10.85.3.2', leavesNetwork: true })
  expect(spec).toMatchObject({ hostNetwork: true, leavesNetwork: true, hostname: 'web', args: ['own'] })
  expect(spec.annotations).toMatchObject({ ip: '10.85.3.2', network: 'own' })
})

test('only the engine can set kernel settings of a network, and the node’s network is nobody’s to leave', () => {
  expect(needsEngineNetwork(pod())).toBe(false)
  expect(needsEngineNetwork(pod({ hostNetwork: true }))).toBe(true)
  expect(needsEngineNetwork(pod({ securityContext: { sysctls: [{ name: 'net.core.somaxconn', value: '9' }] } }))).toBe(true)
})
