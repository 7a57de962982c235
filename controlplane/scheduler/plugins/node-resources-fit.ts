import { podRequests } from '../resources.ts'
import { definePlugin, fits } from './plugin.ts'

const podsPerNode = 110

/** The requests of all pods of a node never exceed what it can give. */
export const nodeResourcesFit = definePlugin<readonly (readonly [string, number])[]>({
  name: 'NodeResourcesFit',
  prepare: (pod) => [...podRequests(pod)].filter(([, amount]) => amount > 0),
  filter: (requests, node) => {
    let reasons = fits
    if (node.pods.size + 1 > (node.allocatable.get('pods') ?? podsPerNode)) reasons = ['Too many pods']
    for (const [name, amount] of requests) {
      if (amount > (node.allocatable.get(name) ?? 0) - (node.requested.get(name) ?? 0))
        reasons = [...reasons, `Insufficient ${name}`]
    }
    return reasons
  },
  wakes: ['NodeAdded', 'NodeChanged', 'PodGone'],
})
