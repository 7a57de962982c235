import { expect, test } from 'vitest'
import { endpointSlice, type Part, service } from '../testing/builders.ts'
import { cellsOf, created, defaulted, wrongIn, wrongInUpdate } from '../testing/written.ts'
import { EndpointSlice } from './endpoint-slice.ts'
import { Service } from './service.ts'

const now = Date.parse('2026-01-01T01:00:00Z')
type Port = Readonly<Record<string, unknown>>
const ports = (...list: readonly Port[]) => ({ ports: list }) as Part<Service['spec']>
const nodePort = (port: number, more: Port = {}) =>
  ({ type: 'NodePort', ...ports({ port: 80, nodePort: port, ...more }) }) as const

test('a Service gets the defaults of Kubernetes', () => {
  const input = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { ports: [{ port: 80 }] } }
  expect(created(Service, input)).toEqual({
    ...input,
    spec: {
      internalTrafficPolicy: 'Cluster',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
      sessionAffinity: 'None',
      type: 'ClusterIP',
    },
    status: { loadBalancer: {} },
  })
})

test.each<[Part<Service['spec']>, object]>([
  [{ type: 'NodePort' }, { externalTrafficPolicy: 'Cluster' }],
  [{ type: 'LoadBalancer' }, { externalTrafficPolicy: 'Cluster', allocateLoadBalancerNodePorts: true }],
  [{ sessionAffinity: 'ClientIP' }, { sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } } }],
  [{ clusterIP: 'None' }, { clusterIP: 'None', clusterIPs: ['None'] }],
  [{ clusterIPs: ['None'] }, { clusterIP: 'None', clusterIPs: ['None'] }],
])('%j also gets %j', (spec, wanted) => {
  expect(defaulted(Service, service({ spec })).spec).toMatchObject(wanted)
})

test.each<[string, Part<Service['spec']>]>([
  ['spec.ports Required', ports()],
  ['spec.ports[0].port Invalid', ports({ port: 0, targetPort: 1 })],
  ['spec.ports[0].name Required, spec.ports[1].name Required', ports({ port: 1 }, { port: 2 })],
  ['spec.ports[1].name Duplicate', ports({ name: 'a', port: 1 }, { name: 'a', port: 2 })],
  ['spec.ports[1] Duplicate', ports({ name: 'a', port: 1 }, { name: 'b', port: 1 })],
  ['spec.ports[0].targetPort Invalid', ports({ port: 1, targetPort: 'Not A Port' })],
  ['spec.ports[0].targetPort Invalid', ports({ port: 1, targetPort: 70000 })],
  ['spec.ports[0].nodePort Forbidden', ports({ port: 80, nodePort: 30080 })],
  ['spec.ports[0].nodePort Invalid', nodePort(-1)],
  ['spec.ports[0].nodePort Invalid', nodePort(65536)],
  [
    'spec.ports[1].nodePort Duplicate',
    { type: 'NodePort', ...ports({ name: 'a', port: 1, nodePort: 30001 }, { name: 'b', port: 2, nodePort: 30001 }) },
  ],
  ['spec.type NotSupported', { type: 'ExternalName', externalName: 'example.com' }],
  ['spec.selector Invalid', { selector: { a: 'b c' } }],
  ['spec.clusterIPs[0] Invalid', { clusterIP: 'here' }],
  ['spec.clusterIPs[0] Invalid', { clusterIP: 'None', type: 'NodePort' }],
  ['spec.clusterIPs Invalid', { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.2'] }],
  ['spec.sessionAffinityConfig Forbidden', { sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } } }],
  [
    'spec.sessionAffinityConfig.clientIP.timeoutSeconds Invalid',
    { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } } },
  ],
  ['spec.ipFamilies[0] Invalid', { ipFamilies: ['IPv6'] }],
  ['spec.ipFamilyPolicy Invalid', { ipFamilyPolicy: 'RequireDualStack' }],
  ['spec.externalTrafficPolicy Invalid', { externalTrafficPolicy: 'Local' }],
  ['spec.allocateLoadBalancerNodePorts Forbidden', { allocateLoadBalancerNodePorts: true }],
])('a Service is refused: %s', (wrong, spec) => {
  expect(wrongIn(Service, service({ spec })).join(', ')).toBe(wrong)
})

test('the name of a Service becomes a DNS name, so it must start with a letter', () => {
  expect(wrongIn(Service, service({ metadata: { name: '1a' } }))).toEqual(['metadata.name Invalid'])
})

test.each<[string, Part<Service['spec']>]>([
  ['no ports without an address', { clusterIP: 'None', ...ports() }],
  ['one number for TCP and UDP', ports({ name: 'a', port: 53 }, { name: 'b', port: 53, protocol: 'UDP' })],
  [
    'one node port for TCP and UDP',
    {
      type: 'NodePort',
      ...ports({ name: 'a', port: 53, nodePort: 30053 }, { name: 'b', port: 53, protocol: 'UDP', nodePort: 30053 }),
    },
  ],
  ['no selector', { selector: undefined }],
  ['both families if there are two', { ipFamilyPolicy: 'PreferDualStack' }],
])('a Service is taken: %s', (_what, spec) => {
  expect(wrongIn(Service, service({ spec }))).toEqual([])
})

const stored = service({ spec: { clusterIP: '10.43.0.9', clusterIPs: ['10.43.0.9'], ...nodePort(30080) } })

test('an update that does not know the address and the node port keeps them', () => {
  const update = defaulted(Service, service({ spec: { type: 'NodePort', ...ports({ port: 80 }) } }))
  expect(Service.strategy.prepareForUpdate?.(update, stored).spec).toMatchObject({
    clusterIP: '10.43.0.9',
    clusterIPs: ['10.43.0.9'],
    ports: [{ port: 80, nodePort: 30080 }],
  })
})

test('an update to ClusterIP gives the node port up', () => {
  const update = defaulted(Service, service({ spec: ports({ port: 80 }) }))
  expect(Service.strategy.prepareForUpdate?.(update, stored).spec.ports?.[0]?.nodePort).toBeUndefined()
})

test('a patch of the type alone works in both directions', () => {
  const full = defaulted(Service, stored)
  const { type: _type, ...rest } = full.spec
  const back = { ...full, spec: { ...rest, type: 'ClusterIP' } } as const
  expect(wrongInUpdate(Service, back, full)).toEqual([])
  expect(Service.strategy.prepareForUpdate?.(back, full).spec).not.toHaveProperty('externalTrafficPolicy')
  expect(wrongInUpdate(Service, full, back)).toEqual([])
  const asked = service({ spec: { clusterIP: '10.43.0.9', ...ports({ port: 80, nodePort: 30099 }) } })
  expect(wrongInUpdate(Service, asked, full)).toEqual(['spec.ports[0].nodePort Forbidden'])
})

test('the address of a Service cannot be changed', () => {
  const moved = service({ spec: { clusterIP: '10.43.0.10', ...nodePort(30080) } })
  expect(wrongInUpdate(Service, moved, stored)).toEqual(['spec.clusterIPs[0] Invalid'])
})

test.each<[Part<Service>, object]>([
  [
    {},
    { Type: 'ClusterIP', 'Cluster-IP': '<none>', 'External-IP': '<none>', 'Port(s)': '80/TCP', Age: '60m', Selector: 'app=web' },
  ],
  [
    { spec: { clusterIP: 'None', selector: { z: '1', a: '2' }, ...ports() } },
    { 'Cluster-IP': 'None', 'Port(s)': '<none>', Selector: 'a=2,app=web,z=1' },
  ],
  [
    { spec: { clusterIP: '10.0.0.1', ...nodePort(30080) } },
    { Type: 'NodePort', 'Cluster-IP': '10.0.0.1', 'Port(s)': '80:30080/TCP' },
  ],
  [{ spec: { type: 'LoadBalancer' } }, { 'External-IP': '<pending>' }],
  [
    { spec: { type: 'LoadBalancer' }, status: { loadBalancer: { ingress: [{ ip: '192.0.2.5' }, { hostname: 'lb' }] } } },
    { 'External-IP': '192.0.2.5,lb' },
  ],
])('what is printed of the Service %j', (part, cells) => {
  expect(cellsOf(Service, service(part), now, { wide: true })).toMatchObject(cells)
})

const endpoint = (address: string) => ({ addresses: [address] })

test.each<[string, Part<EndpointSlice>]>([
  ['endpoints[0].addresses Required', { endpoints: [{ addresses: [] }] }],
  ['endpoints[0].addresses[0] Invalid', { endpoints: [endpoint('::1')] }],
  ['endpoints TooLong', { endpoints: Array.from({ length: 1001 }, () => endpoint('10.0.0.1')) }],
  ['endpoints[0].hostname Invalid', { endpoints: [{ ...endpoint('10.0.0.1'), hostname: 'a.b' }] }],
  ['ports[1].name Duplicate', { ports: [{ port: 1 }, { port: 2 }] }],
  ['ports[0].port Invalid', { ports: [{ port: 0 }] }],
])('an EndpointSlice is refused: %s', (wrong, part) => {
  expect(wrongIn(EndpointSlice, endpointSlice(part))).toEqual([wrong])
})

test('the address type of an EndpointSlice cannot be changed', () => {
  const changed = endpointSlice({ addressType: 'IPv6', endpoints: [endpoint('::1')] })
  expect(wrongInUpdate(EndpointSlice, changed, endpointSlice())).toEqual(['addressType Invalid'])
})

test('what is printed of an EndpointSlice', () => {
  const many = endpointSlice({ endpoints: ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5'].map(endpoint) })
  expect(cellsOf(EndpointSlice, many, now)).toEqual({
    Name: 'web-1',
    AddressType: 'IPv4',
    Ports: '8080',
    Endpoints: '10.0.0.1,10.0.0.2,10.0.0.3 + 2 more...',
    Age: '60m',
  })
  expect(cellsOf(EndpointSlice, endpointSlice({ endpoints: [], ports: [] }), now)).toMatchObject({
    Ports: '<unset>',
    Endpoints: '<unset>',
  })
})
