import type { Pod } from '../../../api/kinds/pod.ts'
import { scoredRequest } from '../resources.ts'
import type { NodeInfo } from '../snapshot.ts'
import { definePlugin } from './plugin.ts'

/** What a pod counts as, for scores only. */
export interface ScoredAmounts {
  readonly cpu: number
  readonly memory: number
}

export const scoredAmounts = (pod: Pod): ScoredAmounts => ({
  cpu: scoredRequest(pod, 'cpu'),
  memory: scoredRequest(pod, 'memory'),
})

/** Share of a resource that would be in use, 0 to 1. */
export function usedShare(amounts: ScoredAmounts, node: NodeInfo, resource: 'cpu' | 'memory'): number {
  const total = node.allocatable.get(resource) ?? 0
  return total === 0 ? 1 : Math.min(1, (node.scored[resource] + amounts[resource]) / total)
}

/** Rather where most is free. */
export const leastAllocated = definePlugin<ScoredAmounts>({
  name: 'LeastAllocated',
  prepare: scoredAmounts,
  score: (amounts, node) => 50 * (1 - usedShare(amounts, node, 'cpu')) + 50 * (1 - usedShare(amounts, node, 'memory')),
  scale: 'none',
})
