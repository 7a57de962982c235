import type { Pod } from '../../api/kinds/pod.ts'
import type { PodStatus } from '../../api/kinds/pod-status.ts'

export type { Pod, PodStatus }

export type Container = Pod['spec']['containers'][number]
export type EnvVar = NonNullable<Container['env']>[number]
export type Volume = NonNullable<Pod['spec']['volumes']>[number]
export type Probe = NonNullable<Container['livenessProbe']>
export type LifecycleHandler = NonNullable<NonNullable<Container['lifecycle']>['preStop']>
export type ContainerStatus = NonNullable<PodStatus['containerStatuses']>[number]
export type PodCondition = NonNullable<PodStatus['conditions']>[number]

export const uidOf = (pod: Pod): string => pod.metadata.uid ?? ''
export const namespaceOf = (pod: Pod): string => pod.metadata.namespace ?? 'default'
export const nameOf = (pod: Pod): string => pod.metadata.name ?? ''

export const initContainersOf = (pod: Pod): readonly Container[] => pod.spec.initContainers ?? []

export type RestartPolicy = 'Always' | 'OnFailure' | 'Never'

export function restartPolicyOf(pod: Pod): RestartPolicy {
  const { restartPolicy } = pod.spec
  return restartPolicy === 'OnFailure' || restartPolicy === 'Never' ? restartPolicy : 'Always'
}

/** How messages name a pod's container, as in `container=web pod=shop_default(uid)`. */
export const podText = (pod: Pod): string => `${nameOf(pod)}_${namespaceOf(pod)}(${uidOf(pod)})`

const defaultGraceMs = 30_000

export const graceMsOf = (pod: Pod): number => {
  const seconds = pod.spec.terminationGracePeriodSeconds
  return seconds === undefined ? defaultGraceMs : Math.max(0, seconds) * 1000
}

/** Numbers of a container's ports by their names. */
export const namedPorts = ({ ports = [] }: Container): ReadonlyMap<string, number> =>
  new Map(ports.flatMap(({ name, containerPort }) => (name === undefined ? [] : [[name, containerPort]])))

export const containersOf = (pod: Pod): readonly Container[] => [...initContainersOf(pod), ...pod.spec.containers]
