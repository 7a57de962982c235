import type { Node, Taint } from '../../../api/kinds/node.ts'
import type { NodeCondition } from '../../../api/kinds/node-status.ts'
import type { Pod } from '../../../api/kinds/pod.ts'
import { formatTime } from '../../../lib/clock.ts'

export const unreachable = 'node.kubernetes.io/unreachable'
export const notReady = 'node.kubernetes.io/not-ready'
const diskPressure = 'node.kubernetes.io/disk-pressure'
const lifecycleKeys: readonly string[] = [unreachable, notReady]
const judged = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'] as const

export const readyOf = (node: Node): NodeCondition | undefined => node.status?.conditions?.find((one) => one.type === 'Ready')

/** The conditions of a node that has been silent for too long; undefined when they say so already. */
export function silentConditions(node: Node, nowMs: number): readonly NodeCondition[] | undefined {
  if (readyOf(node)?.status === 'Unknown') return undefined
  const known = node.status?.conditions ?? []
  const others = known.filter((one) => !judged.some((type) => type === one.type))
  const now = formatTime(nowMs)
  const unknown = judged.map((type): NodeCondition => {
    const before = known.find((one) => one.type === type)
    const heartbeat = before?.lastHeartbeatTime === undefined ? {} : { lastHeartbeatTime: before.lastHeartbeatTime }
    return {
      type,
      status: 'Unknown',
      reason: 'NodeStatusUnknown',
      message: 'The node agent stopped posting node status.',
      lastTransitionTime: now,
      ...heartbeat,
    }
  })
  return [...others, ...unknown]
}

/**
 * The node's taints as its condition wants them; undefined when they are so already. `mayEvict`: whether a NoExecute
 * taint may be added now; those that are there stay.
 */
export function wantedTaints(node: Node, mayEvict: boolean, nowMs: number): readonly Taint[] | undefined {
  const known = node.spec?.taints ?? []
  const ready = readyOf(node)?.status
  const key = ready === 'True' ? undefined : ready === 'False' ? notReady : unreachable
  const disk = node.status?.conditions?.find(({ type }) => type === 'DiskPressure')?.status
  const isObsolete = (one: Taint): boolean =>
    (lifecycleKeys.includes(one.key) && one.key !== key) || (one.key === diskPressure && disk === 'False')
  const kept = known.filter((one) => !isObsolete(one))
  const has = (effect: Taint['effect']): boolean => kept.some((one) => one.key === key && one.effect === effect)
  const added: Taint[] = []
  if (key !== undefined && !has('NoSchedule')) added.push({ key, effect: 'NoSchedule' })
  if (key !== undefined && mayEvict && !has('NoExecute')) added.push({ key, effect: 'NoExecute', timeAdded: formatTime(nowMs) })
  // No new pods; those that run stay (Differs: Kubernetes evicts some).
  if (disk === 'True' && !kept.some((one) => one.key === diskPressure)) added.push({ key: diskPressure, effect: 'NoSchedule' })
  return kept.length === known.length && added.length === 0 ? undefined : [...kept, ...added]
}

export const hasEvictionTaint = (node: Node): boolean =>
  (node.spec?.taints ?? []).some((one) => lifecycleKeys.includes(one.key) && one.effect === 'NoExecute')

/**
 * Whether so many nodes are away that the fault is more likely ours or the network's: all of them, or more than two and
 * at least 55 % (Kubernetes' thresholds for small zones).
 */
export function isDisruption(nodes: readonly Node[]): boolean {
  const away = nodes.filter((one) => readyOf(one)?.status !== 'True').length
  return away > 0 && (away === nodes.length || (away > 2 && away / nodes.length >= 0.55))
}

export const isLifecycleTaint = (taint: Taint): boolean => lifecycleKeys.includes(taint.key)

export interface AgedTaint {
  readonly taint: Taint
  /** For how long it has been seen, by our own clock. */
  readonly ageMs: number
}

/** Milliseconds until the pod must leave its node: 0 now, undefined never. */
export function evictionInMs(pod: Pod, taints: readonly AgedTaint[]): number | undefined {
  const waits = taints.flatMap(({ taint, ageMs }): readonly number[] => {
    if (taint.effect !== 'NoExecute') return []
    const tolerating = (pod.spec.tolerations ?? []).filter((one) => tolerates(one, taint))
    if (tolerating.length === 0) return [0]
    const limits = tolerating.flatMap((one) => (one.tolerationSeconds === undefined ? [] : [one.tolerationSeconds]))
    return limits.length === 0 ? [] : [Math.max(0, Math.min(...limits) * 1000 - ageMs)]
  })
  return waits.length === 0 ? undefined : Math.min(...waits)
}

type Toleration = NonNullable<Pod['spec']['tolerations']>[number]

function tolerates({ key = '', operator = 'Equal', value = '', effect = '' }: Toleration, taint: Taint): boolean {
  if (effect !== '' && effect !== taint.effect) return false
  if (key !== '' && key !== taint.key) return false
  return operator === 'Exists' || (key !== '' && value === (taint.value ?? ''))
}
