import type { DeepReadonly } from '../meta/object-meta.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { type Column, defineKind, type ObjectOf } from './define.ts'
import { atomicList, int32, mapList, message, opt, req, type Static, str } from './schema.ts'
import { serviceSpecSchema } from './service-spec.ts'
import { type ServiceLike, serviceStrategy } from './service-strategy.ts'
import { conditionSchema } from './shared.ts'

const core = 'io.k8s.api.core.v1'
const ptr = { pointer: true } as const

const portStatusSchema = message(`${core}.PortStatus`, 'A port of a load balancer.', {
  port: req(int32(), 'The port.', { tag: 1 }),
  protocol: req(str(), 'Its protocol.', { tag: 2 }),
  error: opt(str(), 'What is wrong with it.', { tag: 3, ...ptr }),
})

const loadBalancerIngressSchema = message(`${core}.LoadBalancerIngress`, 'An address of a load balancer.', {
  ip: opt(str(), 'IP address.', { tag: 1 }),
  hostname: opt(str(), 'DNS name.', { tag: 2 }),
  ipMode: opt(str(), 'How the address behaves.', { tag: 3, ...ptr }),
  ports: opt(atomicList(portStatusSchema), 'Its ports.', { tag: 4 }),
})

export const serviceStatusSchema = message(`${core}.ServiceStatus`, 'What is known about a service.', {
  loadBalancer: opt(
    message(`${core}.LoadBalancerStatus`, 'Addresses of a load balancer.', {
      ingress: opt(atomicList(loadBalancerIngressSchema), 'The addresses.', { tag: 1 }),
    }),
    'Addresses of a load balancer.',
    { tag: 1, default: {} },
  ),
  conditions: opt(mapList(conditionSchema, 'type'), 'Aspects of the state.', { tag: 2 }),
})

type ServiceStatus = DeepReadonly<Static<typeof serviceStatusSchema>>
interface ServiceWithStatus extends ServiceLike {
  readonly status?: ServiceStatus
}

const serviceColumns: readonly Column<ServiceWithStatus>[] = [
  nameColumn,
  { name: 'Type', doc: 'How it can be reached.', cell: ({ spec }) => spec.type ?? 'ClusterIP' },
  { name: 'Cluster-IP', doc: 'Address inside the cluster.', cell: ({ spec }) => orNone(spec.clusterIPs?.[0] ?? spec.clusterIP) },
  { name: 'External-IP', doc: 'Address outside.', cell: externalAddress },
  { name: 'Port(s)', doc: 'Its ports, with those of the nodes.', cell: ports },
  ageColumn,
  { name: 'Selector', wide: true, doc: 'Labels of its pods.', cell: ({ spec }) => selector(spec.selector ?? {}) },
]

const none = '<none>'
const orNone = (text: string | undefined): string => (text === undefined || text === '' ? none : text)

function externalAddress({ spec, status }: ServiceWithStatus): string {
  if (spec.type !== 'LoadBalancer') return none
  const addresses = (status?.loadBalancer?.ingress ?? [])
    .map(({ ip, hostname }) => ip ?? hostname ?? '')
    .filter((one) => one !== '')
  return addresses.length === 0 ? '<pending>' : addresses.join(',')
}

function ports({ spec }: ServiceWithStatus): string {
  const texts = (spec.ports ?? []).map(({ port, nodePort = 0, protocol = 'TCP' }) =>
    nodePort > 0 ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`,
  )
  return orNone(texts.join(','))
}

function selector(labels: Readonly<Record<string, string>>): string {
  const texts = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  return orNone(texts.sort().join(','))
}

export const Service = defineKind({
  group: '',
  version: 'v1',
  kind: 'Service',
  plural: 'services',
  shortNames: ['svc'],
  categories: ['all'],
  scope: 'Namespaced',
  subresources: ['status'],
  doc: 'One lasting address for a changing set of pods.',
  schemaName: `${core}.Service`,
  body: {
    spec: req(serviceSpecSchema, 'What the service is to be.', { tag: 2 }),
    status: opt(serviceStatusSchema, 'What is known about the service.', { tag: 3, default: { loadBalancer: {} } }),
  },
})({ columns: serviceColumns, strategy: serviceStrategy })
export type Service = ObjectOf<typeof Service>
