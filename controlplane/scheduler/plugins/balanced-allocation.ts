import { type ScoredAmounts, scoredAmounts, usedShare } from './least-allocated.ts'
import { definePlugin } from './plugin.ts'

/** Rather where processor and memory are used to the same degree. */
export const balancedAllocation = definePlugin<ScoredAmounts>({
  name: 'BalancedAllocation',
  prepare: scoredAmounts,
  // With two shares the standard deviation is half their difference.
  score: (amounts, node) => 100 * (1 - Math.abs(usedShare(amounts, node, 'cpu') - usedShare(amounts, node, 'memory')) / 2),
  scale: 'none',
})
