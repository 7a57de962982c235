import type { Pod } from '../../api/kinds/pod.ts'
import type { Random } from '../../lib/random.ts'
import type { Cluster, Plugin } from './plugins/plugin.ts'
import type { NodeInfo } from './snapshot.ts'

export type Decision =
  | { readonly type: 'node'; readonly node: string }
  /** `message` as Kubernetes words it; `plugins` turned nodes away, so that their events may help. */
  | { readonly type: 'nowhere'; readonly message: string; readonly plugins: ReadonlySet<string> }

/** Where a pod goes, from what is known now. Pure, but for the draw among equals. */
export function decide(
  pod: Pod,
  cluster: Cluster,
  { plugins, random }: { readonly plugins: readonly Plugin[]; readonly random: Random },
): Decision {
  const prepared = plugins.map((plugin) => ({ plugin, state: plugin.prepare(pod, cluster) }))
  const reasons = new Map<string, number>()
  const turnedAway = new Set<string>()
  const feasible: NodeInfo[] = []
  for (const node of cluster.nodes) {
    const refusal = firstRefusal(prepared, node)
    if (refusal === undefined) feasible.push(node)
    else {
      turnedAway.add(refusal.plugin)
      for (const reason of refusal.reasons) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    }
  }
  const best = pick(feasible, prepared, random)
  if (best !== undefined) return { type: 'node', node: best.name }
  return { type: 'nowhere', message: explain(cluster.nodes.length, reasons), plugins: turnedAway }
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
    const reasons = plugin.filter?.(state, node) ?? []
    if (reasons.length > 0) return { plugin: plugin.name, reasons }
  }
  return undefined
}

function pick(nodes: readonly NodeInfo[], prepared: readonly Prepared[], random: Random): NodeInfo | undefined {
  if (nodes.length <= 1) return nodes[0]
  const totals = nodes.map(() => 0)
  for (const { plugin, state } of prepared) {
    const { score, weight = 1, scale = 'none' } = plugin
    if (score === undefined) continue
    const scaled = rescale(
      nodes.map((node) => score(state, node)),
      scale,
    )
    for (const [index, value] of scaled.entries()) totals[index] = (totals[index] ?? 0) + weight * value
  }
  const highest = Math.max(...totals)
  const best = nodes.filter((_, index) => totals[index] === highest)
  return best[Math.floor(random.next() * best.length)]
}

function rescale(raw: readonly number[], scale: 'none' | 'max' | 'inverse'): readonly number[] {
  if (scale === 'none') return raw
  const highest = Math.max(...raw)
  if (highest <= 0) return raw.map(() => (scale === 'inverse' ? 100 : 0))
  return raw.map((value) => (scale === 'max' ? (100 * value) / highest : 100 - (100 * value) / highest))
}

/** `0/3 nodes are available: 1 Insufficient memory, 2 node(s) were unschedulable.` */
function explain(nodes: number, reasons: ReadonlyMap<string, number>): string {
  if (nodes === 0) return 'no nodes available to schedule pods'
  const parts = [...reasons].map(([reason, count]) => `${count} ${reason}`).sort()
  return `0/${nodes} nodes are available: ${parts.join(', ')}.`
}
