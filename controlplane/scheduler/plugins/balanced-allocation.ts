import { type ScoredAmounts, scoredAmounts } from './least-allocated.ts'
import { definePlugin } from './plugin.ts'

/** Rather where processor and memory are used to the same degree. */
export const balancedAllocation = definePlugin<ScoredAmounts>({
  name: 'BalancedAllocation',
  prepare: scoredAmounts,
  // With two shares the standard deviation is half their difference.
  score: ({ cpu, memory }, { room }) => 100 * (1 - Math.abs(room.usedShare('cpu', cpu) - room.usedShare('memory', memory)) / 2),
  scale: 'none',
})
