import { type Amounts, podRequests } from '../resources.ts'
import { definePlugin } from './plugin.ts'

const podsPerNode = 110

/** The requests of all pods of a node never exceed what it can give. */
export const nodeResourcesFit = definePlugin<Amounts>({
  name: 'NodeResourcesFit',
  prepare: podRequests,
  filter: (requests, node) => {
    const reasons: string[] = []
    if (node.pods.size + 1 > (node.allocatable.get('pods') ?? podsPerNode)) reasons.push('Too many pods')
    for (const [name, amount] of requests) {
      if (amount > 0 && amount > (node.allocatable.get(name) ?? 0) - (node.requested.get(name) ?? 0))
        reasons.push(`Insufficient ${name}`)
    }
    return reasons
  },
  wakes: ['NodeAdded', 'NodeChanged', 'PodGone'],
})
