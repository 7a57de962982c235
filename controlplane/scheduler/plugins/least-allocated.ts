import type { Pod } from '../../../api/kinds/pod.ts'
import { scoredRequest } from '../resources.ts'
import type { NodeInfo } from '../snapshot.ts'
import { definePlugin } from './plugin.ts'

/** Share of a resource that would be in use, 0 to 1. */
export function usedShare(pod: Pod, node: NodeInfo, resource: 'cpu' | 'memory'): number {
  const total = node.allocatable.get(resource) ?? 0
  return total === 0 ? 1 : Math.min(1, (node.scored[resource] + scoredRequest(pod, resource)) / total)
}

/** Rather where most is free. */
export const leastAllocated = definePlugin<Pod>({
  name: 'LeastAllocated',
  prepare: (pod) => pod,
  score: (pod, node) => 50 * (1 - usedShare(pod, node, 'cpu')) + 50 * (1 - usedShare(pod, node, 'memory')),
  scale: 'none',
})
