import { isIPv4, isIPv6, wrongLabel, wrongPort, wrongSubdomain } from '../meta/names.ts'
import type { DeepReadonly } from '../meta/object-meta.ts'
import { duplicate, type FieldError, invalid, required } from '../meta/status.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { checkMeta, checkText, checkUnchanged, type Wrong } from './rules.ts'
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
})({
  columns: [
    nameColumn,
    { name: 'AddressType', doc: 'What the addresses are.', cell: (slice) => slice.addressType },
    { name: 'Ports', doc: 'Ports of all backends.', cell: (slice) => portsText(slice.ports ?? []) },
    { name: 'Endpoints', doc: 'Addresses of the backends.', cell: (slice) => addressesText(slice.endpoints ?? []) },
    ageColumn,
  ],
  strategy: {
    validate: (slice) => [...checkMeta(slice), ...checkSlice(slice)],
    validateUpdate: (slice, old) => [...checkUnchanged('addressType', slice.addressType, old.addressType)],
  },
})
export type EndpointSlice = ObjectOf<typeof EndpointSlice>

const shown = 3
/** kubectl shows the first three. */
function few(texts: readonly string[], when: string): string {
  if (texts.length === 0) return when
  const more = texts.length - shown
  return more > 0 ? `${texts.slice(0, shown).join(',')} + ${more} more...` : texts.join(',')
}

const portsText = (ports: readonly EndpointPort[]): string =>
  few(
    ports.map(({ port, name = '' }) => (port === undefined ? `${name === '' ? '' : `${name}=`}*` : String(port))),
    '<unset>',
  )
const addressesText = (endpoints: readonly Endpoint[]): string =>
  few(
    endpoints.flatMap(({ addresses }) => addresses),
    '<unset>',
  )

const most = { endpoints: 1000, addresses: 100, ports: 100 } as const
const tooMany = (field: string, max: number): FieldError => ({
  field,
  type: 'FieldValueTooLong',
  detail: `must have at most ${max} items`,
})

function* checkSlice({ addressType, endpoints = [], ports = [] }: EndpointSlice): Wrong {
  if (endpoints.length > most.endpoints) yield tooMany('endpoints', most.endpoints)
  for (const [index, endpoint] of endpoints.entries()) yield* checkEndpoint(`endpoints[${index}]`, endpoint, addressType)
  if (ports.length > most.ports) yield tooMany('ports', most.ports)
  const names = new Set<string>()
  for (const [index, { name = '', port }] of ports.entries()) {
    const at = `ports[${index}]`
    if (name !== '') yield* checkText(`${at}.name`, name, wrongLabel)
    if (names.has(name)) yield duplicate(`${at}.name`, name)
    names.add(name)
    const wrong = port === undefined ? undefined : wrongPort(port)
    if (wrong !== undefined) yield invalid(`${at}.port`, port, wrong)
  }
}

const isAddress = { IPv4: isIPv4, IPv6: isIPv6, FQDN: (text: string) => wrongSubdomain(text) === undefined } as const

function* checkEndpoint(field: string, endpoint: Endpoint, addressType: EndpointSlice['addressType']): Wrong {
  const { addresses, hostname, nodeName } = endpoint
  if (addresses.length === 0) yield required(`${field}.addresses`, 'must have at least one address')
  if (addresses.length > most.addresses) yield tooMany(`${field}.addresses`, most.addresses)
  for (const [index, address] of addresses.entries()) {
    if (!isAddress[addressType](address)) yield invalid(`${field}.addresses[${index}]`, address, `must be of type ${addressType}`)
  }
  yield* checkText(`${field}.hostname`, hostname, wrongLabel)
  yield* checkText(`${field}.nodeName`, nodeName, wrongSubdomain)
}
