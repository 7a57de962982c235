import type { Chance } from './chance.ts'

/** How large the world of a seed is, and how much happens in it. */
export interface Size {
  readonly nodes: number
  readonly planes: number
  /** How long the user acts and faults strike. */
  readonly spanMs: number
  readonly leastActs: number
  readonly mostActs: number
  readonly mostPodsPerApp: number
  readonly mostFaults: number
}

/**
 * Most worlds are small: many of them can be run, and each brings few things together, often at the same moment. Some
 * are large, for what only many things together, or a long time, bring about.
 */
export function inventSize(chance: Chance): Size {
  const kind = chance.weighted<'small' | 'middling' | 'large'>([
    [16, 'small'],
    [3, 'middling'],
    [1, 'large'],
  ])
  if (kind === 'small') {
    const [nodes, planes] = [chance.is(0.6) ? 1 : 2, chance.is(0.65) ? 1 : 2]
    return { nodes, planes, spanMs: chance.pick([15_000, 40_000]), leastActs: 2, mostActs: 5, mostPodsPerApp: 2, mostFaults: 4 }
  }
  const [nodes, planes] = [chance.int(1, 3), chance.int(1, 2)]
  if (kind === 'middling') return { nodes, planes, spanMs: 60_000, leastActs: 3, mostActs: 9, mostPodsPerApp: 3, mostFaults: 8 }
  return {
    nodes: nodes + chance.int(0, 2),
    planes: planes + chance.int(0, 1),
    spanMs: 120_000,
    leastActs: 4,
    mostActs: 18,
    mostPodsPerApp: 4,
    mostFaults: 18,
  }
}
