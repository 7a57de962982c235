import type { DeepReadonly } from '../meta/object-meta.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { anyObject, atomicList, bool, int32, message, oneOf, opt, req, type Static, str, stringMap, Type } from './schema.ts'
import { objectReferenceSchema } from './shared.ts'

const group = 'io.k8s.api.discovery.v1'
const ptr = { pointer: true } as const

const endpointSchema = message(`${group}.Endpoint`, 'A backend of a service.', {
  addresses: req(Type.Array(str(), { 'x-list-type': 'set' }), 'Addresses of the backend; only the first is used.', { tag: 1 }),
  conditions: opt(
    message(`${group}.EndpointConditions`, 'Whether traffic can go to a backend.', {
      ready: opt(bool(), 'Takes new traffic.', { tag: 1, ...ptr }),
      serving: opt(bool(), 'Like ready, but also while it ends.', { tag: 2, ...ptr }),
      terminating: opt(bool(), 'Is being deleted.', { tag: 3, ...ptr }),
    }),
    'Whether traffic can go to it.',
    { tag: 2, default: {} },
  ),
  hostname: opt(str(), 'Name of the backend below the service’s.', { tag: 3, ...ptr }),
  targetRef: opt(objectReferenceSchema, 'The pod behind it.', { tag: 4 }),
  deprecatedTopology: opt(stringMap(), 'No longer used.', { tag: 5 }),
  nodeName: opt(str(), 'The node it runs on.', { tag: 6, ...ptr }),
  zone: opt(str(), 'The zone it runs in.', { tag: 7, ...ptr }),
  hints: opt(anyObject(), 'Where traffic for it should come from.', { tag: 8, skiff: 'ignored' }),
})
export type Endpoint = DeepReadonly<Static<typeof endpointSchema>>

const endpointPortSchema = message(`${group}.EndpointPort`, 'A port of all backends of the slice.', {
  name: opt(str(), 'Name of the service port.', { tag: 1, ...ptr, default: '' }),
  protocol: opt(oneOf('TCP', 'UDP', 'SCTP'), 'TCP or UDP.', { tag: 2, ...ptr, default: 'TCP' }),
  port: opt(int32(), 'The port.', { tag: 3, ...ptr }),
  appProtocol: opt(str(), 'What is spoken on it.', { tag: 4, ...ptr }),
})
export type EndpointPort = DeepReadonly<Static<typeof endpointPortSchema>>

export const EndpointSlice = defineKind({
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  scope: 'Namespaced',
  doc: 'Some of the backends of a service.',
  schemaName: `${group}.EndpointSlice`,
  body: {
    addressType: req(oneOf('IPv4', 'IPv6', 'FQDN'), 'What the addresses are; cannot be changed.', { tag: 4 }),
    endpoints: opt(atomicList(endpointSchema), 'The backends, at most 1000.', { tag: 2 }),
    ports: opt(atomicList(endpointPortSchema), 'Ports of all backends, at most 100.', { tag: 3 }),
  },
})({ columns: [nameColumn, ageColumn] })
export type EndpointSlice = ObjectOf<typeof EndpointSlice>
