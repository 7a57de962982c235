import type { EndpointSlice, Endpoint as SliceEndpoint } from '../../api/kinds/endpoint-slice.ts'
import type { Service } from '../../api/kinds/service.ts'
import { keyOf } from '../../api/meta/object-meta.ts'
import { type Endpoint, type ServiceEntry, type ServicePort, ServiceTable } from '../../api/proto/agent.ts'

type SpecPort = NonNullable<Service['spec']['ports']>[number]

const serviceName = 'kubernetes.io/service-name'
const defaultAffinitySeconds = 10_800

/** Every service with an address, and where its traffic goes: what each node puts into its packet filter. */
export function serviceTable(services: readonly Service[], slices: readonly EndpointSlice[], revision: number): ServiceTable {
  const byService = new Map<string, EndpointSlice[]>()
  for (const slice of slices) {
    const name = slice.metadata.labels?.[serviceName]
    if (name === undefined || slice.addressType !== 'IPv4') continue
    const key = `${slice.metadata.namespace}/${name}`
    byService.set(key, [...(byService.get(key) ?? []), slice])
  }
  const entries = services
    .filter(({ spec }) => spec.clusterIP !== undefined && spec.clusterIP !== '' && spec.clusterIP !== 'None')
    .map((service) => entryOf(service, byService.get(keyOf(service)) ?? []))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  return ServiceTable.create({ revision: BigInt(revision), services: entries })
}

function entryOf(service: Service, slices: readonly EndpointSlice[]): ServiceEntry {
  const { spec } = service
  const isSticky = spec.sessionAffinity === 'ClientIP'
  return {
    key: keyOf(service),
    clusterIp: spec.clusterIP ?? '',
    ports: (spec.ports ?? []).map((port) => portOf(port, slices)),
    clientIpAffinity: isSticky,
    affinityTimeoutSeconds: isSticky ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? defaultAffinitySeconds) : 0,
    externalLocal: spec.externalTrafficPolicy === 'Local',
    internalLocal: spec.internalTrafficPolicy === 'Local',
  }
}

function portOf(port: SpecPort, slices: readonly EndpointSlice[]): ServicePort {
  const protocol = port.protocol ?? 'TCP'
  const name = port.name ?? ''
  const all = slices.flatMap((slice) => {
    const target = slice.ports?.find((one) => (one.name ?? '') === name && (one.protocol ?? 'TCP') === protocol)
    if (target?.port === undefined) return []
    const number = target.port
    return (slice.endpoints ?? []).map((endpoint) => ({ endpoint, number }))
  })
  // When all that is left is ending, what still serves is better than nothing (Kubernetes: serving terminating endpoints).
  const ready = all.filter(({ endpoint }) => endpoint.conditions?.ready !== false)
  const taken = ready.length > 0 ? ready : all.filter(({ endpoint }) => isLastResort(endpoint))
  const endpoints = new Map(
    taken.map(({ endpoint, number }) => [`${endpoint.addresses[0]}:${number}`, endpointOf(endpoint, number)]),
  )
  return {
    name,
    protocol,
    port: port.port,
    nodePort: port.nodePort ?? 0,
    endpoints: [...endpoints].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint),
  }
}

const isLastResort = ({ conditions }: SliceEndpoint): boolean => conditions?.serving === true && conditions.terminating === true

const endpointOf = ({ addresses, nodeName }: SliceEndpoint, port: number): Endpoint => ({
  ip: addresses[0] ?? '',
  port,
  node: nodeName ?? '',
})
