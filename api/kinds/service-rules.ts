import { isIPv4, wrongLabel, wrongPort, wrongQualifiedName } from '../meta/names.ts'
import { duplicate, forbiddenField, invalid, notSupported, required } from '../meta/status.ts'
import { checkPortRef } from './pod-spec/check-probe.ts'
import { checkLabels, checkName, checkRange, checkText, type Wrong } from './rules.ts'
import type { ServicePort, ServiceSpec } from './service-spec.ts'

const supportedTypes = ['ClusterIP', 'NodePort', 'LoadBalancer'] as const
const maxStickySeconds = 86_400

export function* checkServiceSpec(field: string, spec: ServiceSpec): Wrong {
  const type = spec.type ?? 'ClusterIP'
  if (type === 'ExternalName') yield notSupported(`${field}.type`, type, supportedTypes)
  if ((spec.ports ?? []).length === 0 && spec.clusterIP !== 'None') yield required(`${field}.ports`)
  yield* checkPorts(`${field}.ports`, spec.ports ?? [], type)
  yield* checkLabels(`${field}.selector`, spec.selector)
  yield* checkClusterIP(field, spec, type)
  yield* checkAffinity(field, spec)
  yield* checkFamilies(field, spec)
  if (spec.externalTrafficPolicy !== undefined && type === 'ClusterIP') {
    yield invalid(
      `${field}.externalTrafficPolicy`,
      spec.externalTrafficPolicy,
      'may only be set for externally-accessible services',
    )
  }
  if (spec.allocateLoadBalancerNodePorts !== undefined && type !== 'LoadBalancer') {
    yield forbiddenField(`${field}.allocateLoadBalancerNodePorts`, 'may only be used when `type` is LoadBalancer')
  }
}

function* checkPorts(field: string, ports: readonly ServicePort[], type: string): Wrong {
  const seen = { names: new Set<string>(), ports: new Set<string>(), nodePorts: new Set<string>() }
  for (const [index, port] of ports.entries()) {
    const at = `${field}[${index}]`
    yield* checkPortName(`${at}.name`, port.name ?? '', ports.length > 1, seen.names)
    const wrong = wrongPort(port.port)
    if (wrong !== undefined) yield invalid(`${at}.port`, port.port, wrong)
    if (port.targetPort !== undefined) yield* checkPortRef(`${at}.targetPort`, port.targetPort)
    yield* checkText(`${at}.appProtocol`, port.appProtocol, wrongQualifiedName)
    const key = `${port.protocol ?? 'TCP'}/${port.port}`
    if (seen.ports.has(key)) yield duplicate(at, { port: port.port, protocol: port.protocol ?? 'TCP' })
    seen.ports.add(key)
    yield* checkNodePort(`${at}.nodePort`, port, type, seen.nodePorts)
  }
}

function* checkPortName(field: string, name: string, isNeeded: boolean, names: Set<string>): Wrong {
  if (name === '' && !isNeeded) return
  yield* checkName(field, name, wrongLabel)
  if (name !== '' && names.has(name)) yield duplicate(field, name)
  names.add(name)
}

function* checkNodePort(field: string, port: ServicePort, type: string, taken: Set<string>): Wrong {
  const { nodePort = 0 } = port
  if (nodePort === 0) return
  if (type === 'ClusterIP') {
    yield forbiddenField(field, "may not be used when `type` is 'ClusterIP'")
    return
  }
  // The range is an option of the control plane: whoever gives ports out checks it.
  const wrong = wrongPort(nodePort)
  if (wrong !== undefined) yield invalid(field, nodePort, wrong)
  const key = `${port.protocol ?? 'TCP'}/${nodePort}`
  if (taken.has(key)) yield duplicate(field, nodePort)
  taken.add(key)
}

function* checkClusterIP(field: string, { clusterIP = '', clusterIPs = [] }: ServiceSpec, type: string): Wrong {
  if (clusterIPs.length > 1) yield invalid(`${field}.clusterIPs`, clusterIPs, 'only one address is supported')
  if (clusterIPs[0] !== undefined && clusterIPs[0] !== clusterIP) {
    yield invalid(`${field}.clusterIPs`, clusterIPs, 'first value must match `clusterIP`')
  }
  if (clusterIP === '') return
  if (clusterIP === 'None') {
    if (type !== 'ClusterIP') yield invalid(`${field}.clusterIPs[0]`, clusterIP, `may not be set to 'None' for ${type} services`)
  } else if (!isIPv4(clusterIP)) {
    yield invalid(`${field}.clusterIPs[0]`, clusterIP, "must be empty, 'None', or an IPv4 address")
  }
}

function* checkAffinity(field: string, { sessionAffinity, sessionAffinityConfig }: ServiceSpec): Wrong {
  const at = `${field}.sessionAffinityConfig`
  if (sessionAffinity === 'ClientIP') {
    yield* checkRange(`${at}.clientIP.timeoutSeconds`, sessionAffinityConfig?.clientIP?.timeoutSeconds, 1, maxStickySeconds)
  } else if (sessionAffinityConfig !== undefined) {
    yield forbiddenField(at, 'must not be set when session affinity is None')
  }
}

function* checkFamilies(field: string, { ipFamilies = [], ipFamilyPolicy }: ServiceSpec): Wrong {
  for (const [index, family] of ipFamilies.entries()) {
    if (family !== 'IPv4') yield invalid(`${field}.ipFamilies[${index}]`, family, 'not configured on this cluster')
    else if (index > 0) yield duplicate(`${field}.ipFamilies[${index}]`, family)
  }
  if (ipFamilyPolicy === 'RequireDualStack') {
    yield invalid(`${field}.ipFamilyPolicy`, ipFamilyPolicy, 'this cluster is not configured for dual-stack services')
  }
}
