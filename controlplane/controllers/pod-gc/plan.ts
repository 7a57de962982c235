import type { Pod } from '../../../api/kinds/pod.ts'
import { compareAge } from '../shared/age.ts'
import { isFinished } from '../shared/pods.ts'

const finishedLimit = 1000

/** Pods to be deleted, and why. */
export interface Doomed {
  readonly pod: Pod
  readonly reason: 'node is gone' | 'too many finished pods' | 'was never bound'
}

/**
 * Pods that nobody else will remove: bound to a node that does not exist (any more), being deleted without ever having
 * been bound, and the oldest of too many finished ones.
 */
export function planPodGc(pods: readonly Pod[], hasNode: (name: string) => boolean, limit = finishedLimit): readonly Doomed[] {
  const doomed = new Map<Pod, Doomed['reason']>()
  for (const pod of pods) {
    const { nodeName = '' } = pod.spec
    if (nodeName !== '' && !hasNode(nodeName)) doomed.set(pod, 'node is gone')
    if (nodeName === '' && pod.metadata.deletionTimestamp !== undefined) doomed.set(pod, 'was never bound')
  }
  const finished = pods.filter((pod) => isFinished(pod) && !doomed.has(pod)).sort(compareAge)
  for (const pod of finished.slice(0, Math.max(0, finished.length - limit))) doomed.set(pod, 'too many finished pods')
  return [...doomed].map(([pod, reason]) => ({ pod, reason }))
}
