import type { DeepReadonly } from '../meta/object-meta.ts'
import { resourceRequirementsSchema } from './pod-spec/container.ts'
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
  time,
} from './schema.ts'
import { conditionStatusSchema, resourceListSchema } from './shared.ts'

const core = 'io.k8s.api.core.v1'

const podConditionSchema = message(`${core}.PodCondition`, 'One aspect of the state of a pod.', {
  type: req(str(), 'PodScheduled, PodReadyToStartContainers, Initialized, ContainersReady, Ready, or a gate’s own.', { tag: 1 }),
  observedGeneration: opt(int64(), 'The generation that the condition was computed from.', { tag: 7 }),
  status: req(conditionStatusSchema, 'Whether it holds.', { tag: 2 }),
  lastProbeTime: opt(time(), 'When it was last looked at.', { tag: 3 }),
  lastTransitionTime: opt(time(), 'When the status last changed.', { tag: 4 }),
  reason: opt(str(), 'Why it last changed, as one CamelCase word.', { tag: 5 }),
  message: opt(str(), 'Why it last changed, for people.', { tag: 6 }),
})
export type PodCondition = DeepReadonly<Static<typeof podConditionSchema>>

const containerStateSchema = message(`${core}.ContainerState`, 'What a container is doing; at most one is given.', {
  waiting: opt(
    message(`${core}.ContainerStateWaiting`, 'Not running yet, or not again.', {
      reason: opt(str(), 'Why, as one CamelCase word.', { tag: 1 }),
      message: opt(str(), 'Why, for people.', { tag: 2 }),
    }),
    'Not running yet, or not again.',
    { tag: 1 },
  ),
  running: opt(
    message(`${core}.ContainerStateRunning`, 'Running.', {
      startedAt: opt(time(), 'When it was started.', { tag: 1 }),
    }),
    'Running.',
    { tag: 2 },
  ),
  terminated: opt(
    message(`${core}.ContainerStateTerminated`, 'Ended.', {
      exitCode: req(int32(), 'Exit code.', { tag: 1 }),
      signal: opt(int32(), 'Signal that ended it.', { tag: 2 }),
      reason: opt(str(), 'Why, as one CamelCase word.', { tag: 3 }),
      message: opt(str(), 'The termination message.', { tag: 4 }),
      startedAt: opt(time(), 'When it was started.', { tag: 5 }),
      finishedAt: opt(time(), 'When it ended.', { tag: 6 }),
      containerID: opt(str(), 'Id of the container, as in docker://abc.', { tag: 7 }),
    }),
    'Ended.',
    { tag: 3 },
  ),
})
export type ContainerState = DeepReadonly<Static<typeof containerStateSchema>>

const containerStatusSchema = message(`${core}.ContainerStatus`, 'What a container of the pod is doing.', {
  name: req(str(), 'Name of the container.', { tag: 1 }),
  state: opt(containerStateSchema, 'What it is doing now.', { tag: 2, default: {} }),
  lastState: opt(containerStateSchema, 'How its last run ended.', { tag: 3, default: {} }),
  ready: req(bool(), 'Whether its readiness probe passes.', { tag: 4, default: false }),
  restartCount: req(int32(), 'How often it was started again.', { tag: 5, default: 0 }),
  image: req(str(), 'The image that runs.', { tag: 6, default: '' }),
  imageID: req(str(), 'Digest of the image.', { tag: 7, default: '' }),
  containerID: opt(str(), 'Id of the container, as in docker://abc.', { tag: 8 }),
  started: opt(bool(), 'Whether the start-up probe and the post-start hook have passed.', { tag: 9, pointer: true }),
  allocatedResources: opt(resourceListSchema, 'What the node has set aside.', { tag: 10 }),
  resources: opt(resourceRequirementsSchema, 'Requests and limits in force.', { tag: 11 }),
})
export type ContainerStatus = DeepReadonly<Static<typeof containerStatusSchema>>

const ipSchema = (name: string) => message(`${core}.${name}`, 'An IP address.', { ip: req(str(), 'The address.', { tag: 1 }) })
const byIp = { patchStrategy: 'merge', patchMergeKey: 'ip' } as const

export const podStatusSchema = message(`${core}.PodStatus`, 'What is known about a pod.', {
  observedGeneration: opt(int64(), 'The generation that this status was computed from.', { tag: 17 }),
  phase: opt(oneOf('Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'), 'Where in its life the pod is.', { tag: 1 }),
  conditions: opt(mapList(podConditionSchema, 'type'), 'Aspects of the state.', { tag: 2 }),
  message: opt(str(), 'Why the pod is in this state, for people.', { tag: 3 }),
  reason: opt(str(), 'Why, as one CamelCase word, as in Evicted.', { tag: 4 }),
  nominatedNodeName: opt(str(), 'The node where room is being made.', { tag: 11 }),
  hostIP: opt(str(), 'Address of the node.', { tag: 5 }),
  hostIPs: opt(atomicList(ipSchema('HostIP')), 'Addresses of the node.', { tag: 16, ...byIp }),
  podIP: opt(str(), 'Address of the pod.', { tag: 6 }),
  podIPs: opt(mapList(ipSchema('PodIP'), 'ip'), 'Addresses of the pod; the first is podIP.', { tag: 12 }),
  startTime: opt(time(), 'When the node took the pod on.', { tag: 7 }),
  initContainerStatuses: opt(atomicList(containerStatusSchema), 'The init containers.', { tag: 10 }),
  containerStatuses: opt(atomicList(containerStatusSchema), 'The containers.', { tag: 8 }),
  qosClass: opt(oneOf('Guaranteed', 'Burstable', 'BestEffort'), 'How safe the pod is when memory runs out.', { tag: 9 }),
  ephemeralContainerStatuses: opt(anyList(), 'Never set.', { tag: 13, skiff: 'ignored' }),
  resize: opt(str(), 'Never set.', { tag: 14, skiff: 'ignored' }),
  resources: opt(anyObject(), 'Never set.', { tag: 20, skiff: 'ignored' }),
})
export type PodStatus = DeepReadonly<Static<typeof podStatusSchema>>
