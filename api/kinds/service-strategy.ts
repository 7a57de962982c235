import { wrongLabel1035 } from '../meta/names.ts'
import type { ObjectMeta } from '../meta/object-meta.ts'
import type { Strategy } from './define.ts'
import { checkMeta, checkUnchanged, withStatus } from './rules.ts'
import { checkServiceSpec } from './service-rules.ts'
import type { ServicePort, ServiceSpec } from './service-spec.ts'

/** What Service is made of, without Service itself: its declaration imports this file. */
export interface ServiceLike {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly spec: ServiceSpec
  readonly status?: object
}

/** Reachable from outside by a port of each node. */
export const hasNodePorts = ({ type, allocateLoadBalancerNodePorts }: ServiceSpec): boolean =>
  type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts !== false)
const isExternal = ({ type }: ServiceSpec): boolean => type === 'NodePort' || type === 'LoadBalancer'

const stickySeconds = 10_800

export const serviceStrategy: Strategy<ServiceLike> = {
  hasGeneration: false,
  default: (service) => ({ ...service, spec: defaultSpec(service.spec) }),
  prepareForCreate: (service) => withStatus(service, { loadBalancer: {} }),
  prepareForUpdate: (service, old) => withStatus({ ...service, spec: keepAllocated(service.spec, old.spec) }, old.status),
  validate: (service) => [...checkMeta(service, wrongLabel1035), ...checkServiceSpec('spec', service.spec)],
  validateUpdate(service, old) {
    const before = old.spec.clusterIP ?? ''
    if (before === '') return []
    return [
      ...checkUnchanged('spec.clusterIPs[0]', service.spec.clusterIP, before, 'may not change once set'),
      ...checkUnchanged('spec.ipFamilies[0]', service.spec.ipFamilies?.[0], old.spec.ipFamilies?.[0], 'may not change once set'),
    ]
  },
  selectableFields: {
    'spec.clusterIP': (service) => service.spec.clusterIP ?? '',
    'spec.type': (service) => service.spec.type ?? 'ClusterIP',
  },
}

function defaultSpec(spec: ServiceSpec): ServiceSpec {
  const isHeadlessByList = (spec.clusterIP ?? '') === '' && spec.clusterIPs?.[0] !== undefined
  const clusterIP = isHeadlessByList ? spec.clusterIPs?.[0] : spec.clusterIP
  const type = spec.type ?? 'ClusterIP'
  return {
    ...spec,
    ...(spec.ports === undefined ? {} : { ports: spec.ports.map(defaultPort) }),
    ...(clusterIP === undefined || clusterIP === '' ? {} : { clusterIP, clusterIPs: spec.clusterIPs ?? [clusterIP] }),
    ...(type === 'ExternalName' ? {} : networkDefaults(spec)),
    ...(spec.sessionAffinity === 'ClientIP' ? { sessionAffinityConfig: stickyConfig(spec) } : {}),
  }
}

function networkDefaults(spec: ServiceSpec): Partial<ServiceSpec> {
  return {
    ipFamilies: spec.ipFamilies ?? ['IPv4'],
    ipFamilyPolicy: spec.ipFamilyPolicy ?? 'SingleStack',
    internalTrafficPolicy: spec.internalTrafficPolicy ?? 'Cluster',
    ...(isExternal(spec) ? { externalTrafficPolicy: spec.externalTrafficPolicy ?? 'Cluster' } : {}),
    ...(spec.type === 'LoadBalancer' ? { allocateLoadBalancerNodePorts: spec.allocateLoadBalancerNodePorts ?? true } : {}),
  }
}

const defaultPort = (port: ServicePort): ServicePort =>
  port.targetPort === undefined || port.targetPort === '' || port.targetPort === 0 ? { ...port, targetPort: port.port } : port

const stickyConfig = ({ sessionAffinityConfig }: ServiceSpec) => ({
  clientIP: { timeoutSeconds: sessionAffinityConfig?.clientIP?.timeoutSeconds ?? stickySeconds },
})

/** An update by someone who does not know what was picked for the service keeps it: `kubectl replace` of the manifest. */
function keepAllocated(spec: ServiceSpec, old: ServiceSpec): ServiceSpec {
  const { clusterIP, clusterIPs } = old
  const addresses =
    (spec.clusterIP ?? '') === '' && clusterIP !== undefined ? { clusterIP, clusterIPs: clusterIPs ?? [clusterIP] } : {}
  const portOf = hasNodePorts(spec) ? keepNodePort : dropNodePort
  const ports = spec.ports?.map((port) => portOf(port, hasNodePorts(old) ? (old.ports ?? []) : []))
  return { ...dropOfOldType(spec, old), ...addresses, ...(ports === undefined ? {} : { ports }) }
}

/** A patch of the type alone leaves what belonged to the old type behind; what was changed on purpose stays, and is judged. */
function dropOfOldType(spec: ServiceSpec, old: ServiceSpec): ServiceSpec {
  const { externalTrafficPolicy, allocateLoadBalancerNodePorts, ...rest } = spec
  const keepsPolicy = isExternal(spec) || externalTrafficPolicy !== old.externalTrafficPolicy
  const keepsAllocation = spec.type === 'LoadBalancer' || allocateLoadBalancerNodePorts !== old.allocateLoadBalancerNodePorts
  return {
    ...rest,
    ...(keepsPolicy && externalTrafficPolicy !== undefined ? { externalTrafficPolicy } : {}),
    ...(keepsAllocation && allocateLoadBalancerNodePorts !== undefined ? { allocateLoadBalancerNodePorts } : {}),
  }
}

const samePort = (port: ServicePort, olds: readonly ServicePort[]): ServicePort | undefined =>
  olds.find((one) => one.port === port.port && (one.protocol ?? 'TCP') === (port.protocol ?? 'TCP'))

function keepNodePort(port: ServicePort, olds: readonly ServicePort[]): ServicePort {
  const nodePort = samePort(port, olds)?.nodePort
  return nodePort === undefined || (port.nodePort ?? 0) !== 0 ? port : { ...port, nodePort }
}

function dropNodePort(port: ServicePort, olds: readonly ServicePort[]): ServicePort {
  const { nodePort, ...rest } = port
  return nodePort === samePort(port, olds)?.nodePort ? rest : port
}
