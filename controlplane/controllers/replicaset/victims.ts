import type { Pod } from '../../../api/kinds/pod.ts'
import { parseTime } from '../../../lib/clock.ts'
import { isActive, isReady, readySinceMs } from '../shared/pods.ts'

const costAnnotation = 'controller.kubernetes.io/pod-deletion-cost'
const phaseRank: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 }

interface Ranked {
  readonly pod: Pod
  /** Compared from left to right; the smallest goes first. */
  readonly rank: readonly number[]
}

/**
 * The `count` pods that are missed least, in Kubernetes' order: unassigned, pending, not ready, low deletion cost,
 * doubled up on a node, ready for the shorter time, restarted more often, younger. `related`: all pods whose spread
 * over the nodes counts.
 */
export function pickVictims(pods: readonly Pod[], count: number, related: readonly Pod[] = pods): readonly Pod[] {
  if (count >= pods.length) return pods
  const perNode = new Map<string, number>()
  for (const pod of related.filter(isActive)) {
    const node = pod.spec.nodeName ?? ''
    perNode.set(node, (perNode.get(node) ?? 0) + 1)
  }
  const ranked = pods.map((pod): Ranked => ({ pod, rank: rankOf(pod, perNode) }))
  return ranked
    .sort(compareRanked)
    .slice(0, count)
    .map(({ pod }) => pod)
}

function rankOf(pod: Pod, perNode: ReadonlyMap<string, number>): readonly number[] {
  const node = pod.spec.nodeName ?? ''
  const restarts = (pod.status?.containerStatuses ?? []).reduce((most, one) => Math.max(most, one.restartCount), 0)
  return [
    node === '' ? 0 : 1,
    phaseRank[pod.status?.phase ?? 'Pending'] ?? 1,
    isReady(pod) ? 1 : 0,
    deletionCost(pod),
    -(perNode.get(node) ?? 0),
    -(readySinceMs(pod) ?? 0),
    -restarts,
    -(parseTime(pod.metadata.creationTimestamp) ?? Number.MAX_SAFE_INTEGER),
  ]
}

function deletionCost(pod: Pod): number {
  const text = pod.metadata.annotations?.[costAnnotation] ?? '0'
  return /^-?(0|[1-9]\d{0,9})$/.test(text) ? Number(text) : 0
}

function compareRanked(left: Ranked, right: Ranked): number {
  for (const [index, value] of left.rank.entries()) {
    const difference = value - (right.rank[index] ?? 0)
    if (difference !== 0) return difference
  }
  return (left.pod.metadata.uid ?? '') < (right.pod.metadata.uid ?? '') ? -1 : 1
}
