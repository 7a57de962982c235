import type { Deployment } from '../../../api/kinds/deployment.ts'
import type { ReplicaSet } from '../../../api/kinds/replica-set.ts'
import { compareAge } from '../shared/age.ts'
import { allOf, limitsOf, replicasOf, type Scaling, type Sets, totalReplicas } from './limits.ts'

export const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas'
export const maxAnnotation = 'deployment.kubernetes.io/max-replicas'

/** What a set was scaled for: when the Deployment wants another number now, somebody has scaled it. */
export function scaleAnnotations(deployment: Deployment): Readonly<Record<string, string>> {
  const replicas = replicasOf(deployment)
  return { [desiredAnnotation]: String(replicas), [maxAnnotation]: String(replicas + limitsOf(deployment).maxSurge) }
}

export function wasScaled(sets: Sets): boolean {
  return allOf(sets).some((one) => {
    const desired = numberOf(one, desiredAnnotation)
    return replicasOf(one) > 0 && desired !== undefined && desired !== replicasOf(sets.deployment)
  })
}

function numberOf(replicaSet: ReplicaSet, annotation: string): number | undefined {
  const text = replicaSet.metadata.annotations?.[annotation]
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

/**
 * Spreads a changed number of replicas over the sets that have pods, in the ratio in which they have them, so that a
 * scaled Deployment neither stops nor speeds up its update.
 */
export function proportionalStep(sets: Sets): readonly Scaling[] {
  const { deployment, newSet, oldSets } = sets
  const wanted = replicasOf(deployment)
  const active = allOf(sets).filter((one) => replicasOf(one) > 0)
  if (active.length <= 1) {
    const only = active[0] ?? newSet ?? [...oldSets].sort(compareAge).at(-1)
    return only === undefined ? [] : changed([{ replicaSet: only, replicas: wanted }])
  }
  if (newSet !== undefined && isSaturated(newSet, deployment)) {
    return changed(oldSets.filter((one) => replicasOf(one) > 0).map((replicaSet) => ({ replicaSet, replicas: 0 })))
  }
  if (deployment.spec.strategy?.type === 'Recreate') return []
  return changed(spread(active, deployment))
}

const changed = (scalings: readonly Scaling[]): readonly Scaling[] =>
  scalings.filter(({ replicaSet, replicas }) => replicas !== replicasOf(replicaSet))

function isSaturated(newSet: ReplicaSet, deployment: Deployment): boolean {
  const wanted = replicasOf(deployment)
  return (
    replicasOf(newSet) === wanted &&
    numberOf(newSet, desiredAnnotation) === wanted &&
    (newSet.status?.availableReplicas ?? 0) === wanted
  )
}

function spread(active: readonly ReplicaSet[], deployment: Deployment): readonly Scaling[] {
  const wanted = replicasOf(deployment)
  const allowed = wanted > 0 ? wanted + limitsOf(deployment).maxSurge : 0
  const toAdd = allowed - totalReplicas(active)
  // The largest first; of equal ones the newer gains, the older loses.
  const sorted = [...active].sort((left, right) => {
    const bySize = replicasOf(right) - replicasOf(left)
    return bySize === 0 ? compareAge(left, right) * (toAdd > 0 ? -1 : 1) : bySize
  })
  let added = 0
  const scalings = sorted.map((replicaSet): Scaling => {
    const share = shareOf(replicaSet, deployment)
    const left = toAdd - added
    const part = toAdd > 0 ? Math.max(0, Math.min(share, left)) : Math.min(0, Math.max(share, left))
    added += part
    return { replicaSet, replicas: replicasOf(replicaSet) + part }
  })
  const rest = toAdd - added
  return scalings.map(({ replicaSet, replicas }, index) => ({
    replicaSet,
    replicas: Math.max(0, index === 0 ? replicas + rest : replicas),
  }))
}

/** How many more (or fewer) pods a set would have in the same ratio. */
function shareOf(replicaSet: ReplicaSet, deployment: Deployment): number {
  const wanted = replicasOf(deployment)
  const replicas = replicasOf(replicaSet)
  if (wanted === 0) return -replicas
  const before = numberOf(replicaSet, maxAnnotation) ?? deployment.status?.replicas ?? 0
  if (before === 0) return 0
  return Math.round((replicas * (wanted + limitsOf(deployment).maxSurge)) / before) - replicas
}
