import type { DeepReadonly } from '../../meta/object-meta.ts'
import { objectMetaSchema } from '../object-meta-schema.ts'
import {
  anyList,
  anyObject,
  atomicList,
  bool,
  int32,
  int64,
  mapList,
  message,
  oneOf,
  opt,
  req,
  type Static,
  str,
  stringMap,
} from '../schema.ts'
import { localObjectReferenceSchema, resourceListSchema } from '../shared.ts'
import { affinitySchema, tolerationSchema, topologySpreadConstraintSchema } from './affinity.ts'
import { containerSchema } from './container.ts'
import { podSecurityContextSchema } from './security.ts'
import { volumeSchema } from './volume.ts'

const core = 'io.k8s.api.core.v1'

const hostAliasSchema = message(`${core}.HostAlias`, 'A line of /etc/hosts.', {
  ip: req(str(), 'The address.', { tag: 1 }),
  hostnames: opt(atomicList(str()), 'Names of the address.', { tag: 2 }),
})

const podDNSConfigSchema = message(`${core}.PodDNSConfig`, 'Added to /etc/resolv.conf of the pod.', {
  nameservers: opt(atomicList(str()), 'Addresses of name servers, after those of the policy.', { tag: 1 }),
  searches: opt(atomicList(str()), 'Search domains, after those of the policy.', { tag: 2 }),
  options: opt(
    atomicList(
      message(`${core}.PodDNSConfigOption`, 'A resolver option.', {
        name: opt(str(), 'Name of the option.', { tag: 1 }),
        value: opt(str(), 'Its value, if it has one.', { tag: 2, pointer: true }),
      }),
    ),
    'Resolver options; win over those of the policy.',
    { tag: 3 },
  ),
})

const ptr = { pointer: true } as const

export const podSpecSchema = message(`${core}.PodSpec`, 'What a pod is to be.', {
  volumes: opt(mapList(volumeSchema, 'name'), 'Volumes that containers can mount.', {
    tag: 1,
    patchStrategy: 'merge,retainKeys',
  }),
  initContainers: opt(mapList(containerSchema, 'name'), 'Run one after another, each to success, before the containers.', {
    tag: 20,
  }),
  containers: req(mapList(containerSchema, 'name'), 'The containers; at least one.', { tag: 2 }),
  ephemeralContainers: opt(anyList(), 'Containers added for debugging.', {
    tag: 34,
    skiff: 'refused',
    patchStrategy: 'merge',
    patchMergeKey: 'name',
  }),
  restartPolicy: opt(oneOf('Always', 'OnFailure', 'Never'), 'When containers that ended are started again.', {
    tag: 3,
    default: 'Always',
  }),
  terminationGracePeriodSeconds: opt(int64(), 'Seconds between the request to stop and the kill.', {
    tag: 4,
    ...ptr,
    default: 30,
  }),
  activeDeadlineSeconds: opt(int64(), 'Seconds after which a pod that still runs fails.', { tag: 5, ...ptr }),
  dnsPolicy: opt(oneOf('ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'), 'Where names are looked up.', {
    tag: 6,
    default: 'ClusterFirst',
  }),
  nodeSelector: opt(stringMap(), 'Labels that the node must have.', { tag: 7 }),
  serviceAccountName: opt(str(), 'The identity of the pod.', { tag: 8 }),
  serviceAccount: opt(str(), 'Old name of serviceAccountName.', { tag: 9 }),
  automountServiceAccountToken: opt(bool(), 'Whether a token of the service account is mounted.', { tag: 21, ...ptr }),
  nodeName: opt(str(), 'The node that the pod is placed on; set by the scheduler.', { tag: 10 }),
  hostNetwork: opt(bool(), 'Uses the network of the node.', { tag: 11 }),
  hostPID: opt(bool(), 'Uses the process table of the node; not supported.', { tag: 12 }),
  hostIPC: opt(bool(), 'Uses the IPC namespace of the node; not supported.', { tag: 13 }),
  shareProcessNamespace: opt(bool(), 'Containers of the pod see each other’s processes.', { tag: 27, ...ptr }),
  securityContext: opt(podSecurityContextSchema, 'Rights that hold for all containers.', { tag: 14, default: {} }),
  imagePullSecrets: opt(mapList(localObjectReferenceSchema, 'name'), 'Secrets with the logins for registries.', { tag: 15 }),
  hostname: opt(str(), 'Host name; the pod’s name when left out.', { tag: 16 }),
  subdomain: opt(str(), 'Gives the pod the name hostname.subdomain.namespace.svc.', { tag: 17 }),
  affinity: opt(affinitySchema, 'Rules about where the pod runs.', { tag: 18 }),
  schedulerName: opt(str(), 'The scheduler that places the pod.', { tag: 19, default: 'default-scheduler' }),
  tolerations: opt(atomicList(tolerationSchema), 'Taints that the pod bears.', { tag: 22 }),
  hostAliases: opt(mapList(hostAliasSchema, 'ip'), 'More lines of /etc/hosts.', { tag: 23 }),
  priorityClassName: opt(str(), 'Name of a priority class.', { tag: 24 }),
  priority: opt(int32(), 'Pods with a higher value are placed first.', { tag: 25, ...ptr }),
  dnsConfig: opt(podDNSConfigSchema, 'Added to what dnsPolicy gives.', { tag: 26 }),
  readinessGates: opt(
    atomicList(
      message(`${core}.PodReadinessGate`, 'A condition that readiness waits for.', {
        conditionType: req(str(), 'Type of the condition.', { tag: 1 }),
      }),
    ),
    'Conditions that must be True before the pod is ready.',
    { tag: 28 },
  ),
  runtimeClassName: opt(str(), 'Another container runtime.', { tag: 29, ...ptr, skiff: 'refused' }),
  enableServiceLinks: opt(bool(), 'Whether variables for each service of the namespace are set.', { tag: 30, ...ptr }),
  preemptionPolicy: opt(str(), 'Whether pods of lower priority make room.', { tag: 31, ...ptr, skiff: 'ignored' }),
  overhead: opt(resourceListSchema, 'Resources of the pod itself.', { tag: 32, skiff: 'refused' }),
  topologySpreadConstraints: opt(
    mapList(topologySpreadConstraintSchema, 'topologyKey', 'whenUnsatisfiable'),
    'How evenly pods are spread.',
    { tag: 33, skiff: 'ignored' },
  ),
  setHostnameAsFQDN: opt(bool(), 'Makes the host name the full name; not supported.', { tag: 35, ...ptr }),
  os: opt(
    message(`${core}.PodOS`, 'The operating system of the containers.', {
      name: req(oneOf('linux'), 'Only linux is supported.', { tag: 1 }),
    }),
    'The operating system of the containers.',
    { tag: 36 },
  ),
  hostUsers: opt(bool(), 'False maps users of the pod to others of the node; not supported.', { tag: 37, ...ptr }),
  schedulingGates: opt(anyList(), 'Holds the pod back from being placed.', {
    tag: 38,
    skiff: 'refused',
    patchStrategy: 'merge',
    patchMergeKey: 'name',
  }),
  resourceClaims: opt(anyList(), 'Devices by dynamic resource allocation.', {
    tag: 39,
    skiff: 'refused',
    patchStrategy: 'merge,retainKeys',
    patchMergeKey: 'name',
  }),
  resources: opt(anyObject(), 'Resources of all containers together.', { tag: 40, skiff: 'refused' }),
})
export type PodSpec = DeepReadonly<Static<typeof podSpecSchema>>

export const podTemplateSpecSchema = message(`${core}.PodTemplateSpec`, 'What the pods made from it are to be.', {
  metadata: opt(objectMetaSchema, 'Labels and annotations of the pods.', { tag: 1 }),
  spec: req(podSpecSchema, 'What the pods are to be.', { tag: 2 }),
})
export type PodTemplateSpec = DeepReadonly<Static<typeof podTemplateSpecSchema>>
