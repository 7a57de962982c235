import type { Pod } from '../../../api/kinds/pod.ts'
import { type Amounts, podRequests } from '../resources.ts'
import type { NodeInfo } from '../snapshot.ts'
import { definePlugin, fits } from './plugin.ts'

interface Wanted {
  readonly cpu: number
  readonly memory: number
  readonly all: readonly (readonly [string, number])[]
  /** Something else than processor and memory is asked for. */
  readonly isUnusual: boolean
}

function wantedOf(pod: Pod): Wanted {
  const requests: Amounts = podRequests(pod)
  const all = [...requests].filter(([, amount]) => amount > 0)
  const isUnusual = all.some(([name]) => name !== 'cpu' && name !== 'memory')
  return { cpu: requests.get('cpu') ?? 0, memory: requests.get('memory') ?? 0, all, isUnusual }
}

function shortagesOf({ all }: Wanted, node: NodeInfo): readonly string[] {
  const short = all.filter(([name, amount]) => amount > (node.allocatable.get(name) ?? 0) - (node.requested.get(name) ?? 0))
  return [...(node.room.isFullOfPods ? ['Too many pods'] : []), ...short.map(([name]) => `Insufficient ${name}`)]
}

/** The requests of all pods of a node never exceed what it can give. */
export const nodeResourcesFit = definePlugin<Wanted>({
  name: 'NodeResourcesFit',
  prepare: wantedOf,
  filter: (wanted, node) => (node.room.fits(wanted) && !wanted.isUnusual ? fits : shortagesOf(wanted, node)),
  wakes: ['NodeAdded', 'NodeChanged', 'PodGone'],
})
