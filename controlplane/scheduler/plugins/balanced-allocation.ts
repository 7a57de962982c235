import type { Pod } from '../../../api/kinds/pod.ts'
import { usedShare } from './least-allocated.ts'
import { definePlugin } from './plugin.ts'

/** Rather where processor and memory are used to the same degree. */
export const balancedAllocation = definePlugin<Pod>({
  name: 'BalancedAllocation',
  prepare: (pod) => pod,
  // With two shares the standard deviation is half their difference.
  score: (pod, node) => 100 * (1 - Math.abs(usedShare(pod, node, 'cpu') - usedShare(pod, node, 'memory')) / 2),
  scale: 'none',
})
