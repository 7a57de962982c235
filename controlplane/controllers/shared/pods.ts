import type { Pod } from '../../../api/kinds/pod.ts'
import type { PodCondition } from '../../../api/kinds/pod-status.ts'
import { parseTime } from '../../../lib/clock.ts'

export const isFinished = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'

/** Counts towards the number of pods that are wanted. */
export const isActive = (pod: Pod): boolean => !isFinished(pod) && pod.metadata.deletionTimestamp === undefined

const conditionOf = (pod: Pod, type: string): PodCondition | undefined =>
  pod.status?.conditions?.find((condition) => condition.type === type)

export const isReady = (pod: Pod): boolean => conditionOf(pod, 'Ready')?.status === 'True'

/** When the pod became ready, in epoch milliseconds; undefined while it is not. */
export function readySinceMs(pod: Pod): number | undefined {
  const ready = conditionOf(pod, 'Ready')
  return ready?.status === 'True' ? (parseTime(ready.lastTransitionTime) ?? 0) : undefined
}

/** Milliseconds until the pod counts as available: 0 when it does, undefined while it is not ready. */
export function availableInMs(pod: Pod, minReadySeconds: number, nowMs: number): number | undefined {
  const since = readySinceMs(pod)
  if (since === undefined) return undefined
  return minReadySeconds === 0 ? 0 : Math.max(0, since + minReadySeconds * 1000 - nowMs)
}
