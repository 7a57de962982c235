import type { Pod } from '../../../api/kinds/pod.ts'
import { scoredRequest } from '../resources.ts'
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

/** Rather where most is free. */
export const leastAllocated = definePlugin<ScoredAmounts>({
  name: 'LeastAllocated',
  prepare: scoredAmounts,
  score: ({ cpu, memory }, { room }) => 50 * (1 - room.usedShare('cpu', cpu)) + 50 * (1 - room.usedShare('memory', memory)),
  scale: 'none',
})
