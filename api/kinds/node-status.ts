import type { DeepReadonly } from '../meta/object-meta.ts'
import { anyList, anyObject, atomicList, int32, int64, mapList, message, opt, req, type Static, str, time } from './schema.ts'
import { conditionStatusSchema, resourceListSchema } from './shared.ts'

const core = 'io.k8s.api.core.v1'

const nodeConditionSchema = message(`${core}.NodeCondition`, 'One aspect of the state of a node.', {
  type: req(str(), 'Ready, MemoryPressure, DiskPressure, PIDPressure or NetworkUnavailable.', { tag: 1 }),
  status: req(conditionStatusSchema, 'Whether it holds.', { tag: 2 }),
  lastHeartbeatTime: opt(time(), 'When the node last said so.', { tag: 3 }),
  lastTransitionTime: opt(time(), 'When the status last changed.', { tag: 4 }),
  reason: opt(str(), 'Why it last changed, as one CamelCase word.', { tag: 5 }),
  message: opt(str(), 'Why it last changed, for people.', { tag: 6 }),
})
export type NodeCondition = DeepReadonly<Static<typeof nodeConditionSchema>>

const nodeAddressSchema = message(`${core}.NodeAddress`, 'An address of a node.', {
  type: req(str(), 'Hostname, InternalIP, ExternalIP, InternalDNS or ExternalDNS.', { tag: 1 }),
  address: req(str(), 'The address.', { tag: 2 }),
})

const text = (doc: string, tag: number) => req(str(), doc, { tag, default: '' })
const nodeSystemInfoSchema = message(`${core}.NodeSystemInfo`, 'The machine and its software.', {
  machineID: text('Id of the machine from /etc/machine-id.', 1),
  systemUUID: text('Id of the machine from its firmware.', 2),
  bootID: text('Differs after each boot.', 3),
  kernelVersion: text('Version of the kernel.', 4),
  osImage: text('Name of the distribution.', 5),
  containerRuntimeVersion: text('Container runtime, as in docker://20.10.24.', 6),
  kubeletVersion: text('Version of the node agent.', 7),
  kubeProxyVersion: text('No longer used.', 8),
  operatingSystem: text('As in linux.', 9),
  architecture: text('As in amd64.', 10),
  swap: opt(anyObject(), 'Swap space.', { tag: 11, skiff: 'ignored' }),
})

const containerImageSchema = message(`${core}.ContainerImage`, 'An image on a node.', {
  names: opt(atomicList(str()), 'Names that the image is known by.', { tag: 1 }),
  sizeBytes: opt(int64(), 'Size in bytes.', { tag: 2 }),
})

/** The `P` is Kubernetes' own spelling. */
const daemonEndpointSchema = message(`${core}.DaemonEndpoint`, 'A port of a daemon.', {
  Port: req(int32(), 'The port.', { tag: 1 }),
})

export const nodeStatusSchema = message(`${core}.NodeStatus`, 'What is known about a node.', {
  capacity: opt(resourceListSchema, 'All resources of the node.', { tag: 1 }),
  allocatable: opt(resourceListSchema, 'What pods can use of them.', { tag: 2 }),
  phase: opt(str(), 'No longer used.', { tag: 3 }),
  conditions: opt(mapList(nodeConditionSchema, 'type'), 'Aspects of the state.', { tag: 4 }),
  addresses: opt(mapList(nodeAddressSchema, 'type'), 'Addresses of the node.', { tag: 5 }),
  daemonEndpoints: opt(
    message(`${core}.NodeDaemonEndpoints`, 'Ports of daemons of the node.', {
      kubeletEndpoint: opt(daemonEndpointSchema, 'Port of the node agent, if it listens.', { tag: 1 }),
    }),
    'Ports of daemons of the node.',
    { tag: 6 },
  ),
  nodeInfo: opt(nodeSystemInfoSchema, 'The machine and its software.', { tag: 7 }),
  images: opt(atomicList(containerImageSchema), 'Images on the node.', { tag: 8 }),
  volumesInUse: opt(atomicList(str()), 'Never set.', { tag: 9, skiff: 'ignored' }),
  volumesAttached: opt(anyList(), 'Never set.', { tag: 10, skiff: 'ignored' }),
  config: opt(anyObject(), 'Never set.', { tag: 11, skiff: 'ignored' }),
  runtimeHandlers: opt(anyList(), 'Never set.', { tag: 12, skiff: 'ignored' }),
  features: opt(anyObject(), 'Never set.', { tag: 13, skiff: 'ignored' }),
})
export type NodeStatus = DeepReadonly<Static<typeof nodeStatusSchema>>
