import type { DeepReadonly } from '../meta/object-meta.ts'
import { atomicList, bool, int32, intOrString, mapList, message, oneOf, opt, req, type Static, str, stringMap } from './schema.ts'

const core = 'io.k8s.api.core.v1'
const ptr = { pointer: true } as const

const servicePortSchema = message(`${core}.ServicePort`, 'A port of a service.', {
  name: opt(str(), 'Name; needed when there is more than one port.', { tag: 1 }),
  protocol: opt(oneOf('TCP', 'UDP'), 'TCP or UDP.', { tag: 2, default: 'TCP' }),
  appProtocol: opt(str(), 'What is spoken on it.', { tag: 6, ...ptr }),
  port: req(int32(), 'The port that clients use.', { tag: 3 }),
  targetPort: opt(intOrString(), 'Number or name of the port of the pods; port when left out.', { tag: 4 }),
  nodePort: opt(int32(), 'The port of each node that leads here; picked when left out.', { tag: 5 }),
})
export type ServicePort = DeepReadonly<Static<typeof servicePortSchema>>

const sessionAffinityConfigSchema = message(`${core}.SessionAffinityConfig`, 'How clients stick to a backend.', {
  clientIP: opt(
    message(`${core}.ClientIPConfig`, 'How clients stick by address.', {
      timeoutSeconds: opt(int32(), 'Seconds that a client sticks, 1 to 86400.', { tag: 1, ...ptr }),
    }),
    'How clients stick by address.',
    { tag: 1 },
  ),
})

export const serviceSpecSchema = message(`${core}.ServiceSpec`, 'What a service is to be.', {
  ports: opt(mapList(servicePortSchema, 'port', 'protocol'), 'Ports of the service.', { tag: 1 }),
  selector: opt(stringMap(), 'Labels of the pods behind it; without it the endpoints are yours.', { tag: 2 }),
  clusterIP: opt(str(), 'Address inside the cluster; None for no address; picked when left out.', { tag: 3 }),
  clusterIPs: opt(atomicList(str()), 'Addresses inside the cluster; the first is clusterIP.', { tag: 18 }),
  type: opt(oneOf('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'), 'How the service can be reached.', {
    tag: 4,
    default: 'ClusterIP',
  }),
  externalIPs: opt(atomicList(str()), 'More addresses that lead here.', { tag: 5, skiff: 'refused' }),
  sessionAffinity: opt(oneOf('None', 'ClientIP'), 'Whether a client sticks to a backend.', { tag: 7, default: 'None' }),
  loadBalancerIP: opt(str(), 'Address wanted from a load balancer.', { tag: 8, skiff: 'ignored' }),
  loadBalancerSourceRanges: opt(atomicList(str()), 'Who may use the load balancer.', { tag: 9, skiff: 'refused' }),
  externalName: opt(str(), 'DNS name that an ExternalName service stands for.', { tag: 10 }),
  externalTrafficPolicy: opt(oneOf('Cluster', 'Local'), 'Local keeps traffic from outside on the node it came to.', { tag: 11 }),
  healthCheckNodePort: opt(int32(), 'Port for the health checks of load balancers.', { tag: 12, skiff: 'ignored' }),
  publishNotReadyAddresses: opt(bool(), 'Counts pods that are not ready among the endpoints.', { tag: 13 }),
  sessionAffinityConfig: opt(sessionAffinityConfigSchema, 'How clients stick to a backend.', { tag: 14 }),
  ipFamilies: opt(atomicList(oneOf('IPv4', 'IPv6')), 'Address families; only IPv4 is supported.', { tag: 19 }),
  ipFamilyPolicy: opt(oneOf('SingleStack', 'PreferDualStack', 'RequireDualStack'), 'How many address families.', {
    tag: 17,
    ...ptr,
  }),
  allocateLoadBalancerNodePorts: opt(bool(), 'Whether a LoadBalancer service gets node ports.', { tag: 20, ...ptr }),
  loadBalancerClass: opt(str(), 'Which load balancer is meant.', { tag: 21, ...ptr, skiff: 'ignored' }),
  internalTrafficPolicy: opt(oneOf('Cluster', 'Local'), 'Local keeps traffic of pods on their node.', { tag: 22, ...ptr }),
  trafficDistribution: opt(str(), 'A wish about where traffic goes.', { tag: 23, ...ptr, skiff: 'ignored' }),
})
export type ServiceSpec = DeepReadonly<Static<typeof serviceSpecSchema>>
