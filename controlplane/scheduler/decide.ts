import type { Pod } from '../../api/kinds/pod.ts'
import type { Random } from '../../lib/random.ts'
import type { Cluster, Plugin } from './plugins/plugin.ts'
import type { NodeInfo } from './snapshot.ts'

export type Decision =
  /** `looked`: how many nodes were looked at, beginning with `start`. */
  | { readonly type: 'node'; readonly node: string; readonly looked: number }
  /** `message` as Kubernetes words it; `plugins` turned nodes away, so that their events may help. */
  | { readonly type: 'nowhere'; readonly message: string; readonly plugins: ReadonlySet<string> }

export interface DecideOptions {
  readonly plugins: readonly Plugin[]
  readonly random: Random
  /** Where among many nodes to begin, so that the same ones are not taken each time. */
  readonly start?: number
}

/** Up to here all nodes are compared. */
const allUpTo = 100
const mostCompared = 200

/**
 * How many nodes that fit are enough to choose the best of: of many nodes half of them, up to a number from which on
 * more make the choice hardly better (Kubernetes' percentageOfNodesToScore, 50 % going down to 5 %, compares more of
 * some thousand nodes). Whether a pod fits anywhere is asked of all.
 */
export function enoughNodes(count: number): number {
  if (count <= allUpTo) return count
  return Math.min(mostCompared, Math.max(allUpTo, Math.floor(count / 2)))
}

/** Where a pod goes, from what is known now. Pure, but for the draw among equals. */
export function decide(pod: Pod, cluster: Cluster, { plugins, random, start = 0 }: DecideOptions): Decision {
  const { nodes } = cluster
  const prepared = plugins.map((plugin) => ({ plugin, state: plugin.prepare(pod, cluster) }))
  const filters = prepared.filter(({ plugin, state }) => plugin.filter !== undefined && plugin.filters?.(state) !== false)
  const reasons = new Map<string, number>()
  const turnedAway = new Set<string>()
  const feasible: NodeInfo[] = []
  const enough = enoughNodes(nodes.length)
  const first = enough === nodes.length ? 0 : start % nodes.length
  let looked = 0
  for (; looked < nodes.length && feasible.length < enough; looked++) {
    const node = nodes[(first + looked) % nodes.length]
    if (node === undefined) break
    const refusal = firstRefusal(filters, node)
    if (refusal === undefined) feasible.push(node)
    else {
      turnedAway.add(refusal.plugin)
      for (const reason of refusal.reasons) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    }
  }
  const best = pick(feasible, prepared, random)
  if (best !== undefined) return { type: 'node', node: best.name, looked }
  return { type: 'nowhere', message: explain(nodes.length, reasons), plugins: turnedAway }
}

interface Prepared {
  readonly plugin: Plugin
  readonly state: unknown
}

function firstRefusal(
  prepared: readonly Prepared[],
  node: NodeInfo,
): { readonly plugin: string; readonly reasons: readonly string[] } | undefined {
  for (const { plugin, state } of prepared) {
    const reasons = plugin.filter?.(state, node)
    if (reasons !== undefined && reasons.length > 0) return { plugin: plugin.name, reasons }
  }
  return undefined
}

function pick(nodes: readonly NodeInfo[], prepared: readonly Prepared[], random: Random): NodeInfo | undefined {
  if (nodes.length <= 1) return nodes[0]
  const totals = new Float64Array(nodes.length)
  const scores = new Float64Array(nodes.length)
  for (const one of prepared) addScores(one, nodes, { scores, totals })
  const highest = highestOf(totals)
  const best = nodes.filter((_, index) => totals[index] === highest)
  return best[Math.floor(random.next() * best.length)]
}

/** `scores` is room that is used again for each plugin. */
function addScores(
  { plugin, state }: Prepared,
  nodes: readonly NodeInfo[],
  { scores, totals }: { readonly scores: Float64Array; readonly totals: Float64Array },
): void {
  const { score, weight = 1, scale = 'none' } = plugin
  if (score === undefined || plugin.scores?.(state) === false) return
  nodes.forEach((node, index) => {
    scores[index] = score(state, node)
  })
  const highest = highestOf(scores)
  scores.forEach((value, index) => {
    totals[index] = (totals[index] ?? 0) + weight * rescaled(value, highest, scale)
  })
}

function highestOf(values: Float64Array): number {
  let highest = Number.NEGATIVE_INFINITY
  for (const value of values) if (value > highest) highest = value
  return highest
}

function rescaled(value: number, highest: number, scale: 'none' | 'max' | 'inverse'): number {
  if (scale === 'none') return value
  if (highest <= 0) return scale === 'inverse' ? 100 : 0
  return scale === 'max' ? (100 * value) / highest : 100 - (100 * value) / highest
}

/** `0/3 nodes are available: 1 Insufficient memory, 2 node(s) were unschedulable.` */
function explain(nodes: number, reasons: ReadonlyMap<string, number>): string {
  if (nodes === 0) return 'no nodes available to schedule pods'
  const parts = [...reasons].map(([reason, count]) => `${count} ${reason}`).sort()
  return `0/${nodes} nodes are available: ${parts.join(', ')}.`
}
