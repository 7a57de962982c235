import type { ReplicaSet } from '../../../api/kinds/replica-set.ts'
import { compareAge } from '../shared/age.ts'
import { allOf, availableOf, limitsOf, replicasOf, type Scaling, type Sets, sum, totalReplicas } from './limits.ts'

/** How many pods the new set may have now, so that all sets together do not surge too far. */
export function newSetReplicas({ deployment, newSet, oldSets }: Sets): number {
  const wanted = replicasOf(deployment)
  if (deployment.spec.strategy?.type === 'Recreate') return wanted
  const current = newSet === undefined ? 0 : replicasOf(newSet)
  if (current >= wanted) return wanted
  const room = wanted + limitsOf(deployment).maxSurge - totalReplicas(allOf({ newSet, oldSets }))
  return current + Math.max(0, Math.min(room, wanted - current))
}

/**
 * The next step of a rolling update: first the new set grows as far as the surge allows, else old sets shrink as far as
 * the pods that may be unavailable allow, unhealthy pods first. Nothing when it has to wait, or is done.
 */
export function rollingStep(sets: Sets): readonly Scaling[] {
  const { newSet } = sets
  if (newSet === undefined) return []
  const replicas = newSetReplicas(sets)
  return replicas === replicasOf(newSet) ? shrinkOld(sets) : [{ replicaSet: newSet, replicas }]
}

function shrinkOld(sets: Sets): readonly Scaling[] {
  const { deployment, newSet, oldSets } = sets
  const all = allOf(sets)
  const minAvailable = replicasOf(deployment) - limitsOf(deployment).maxUnavailable
  const newUnavailable = newSet === undefined ? 0 : replicasOf(newSet) - availableOf(newSet)
  const most = totalReplicas(all) - minAvailable - newUnavailable
  if (most <= 0) return []
  const oldest = [...oldSets].sort(compareAge)
  // Pods that serve nobody go first: they must not hold the update up.
  const unhealthy = take(oldest, most, (one) => replicasOf(one) - availableOf(one))
  const spare = sum(all.map(availableOf)) - minAvailable
  const left = Math.min(spare, most - sum([...unhealthy.values()]))
  const healthy = take(oldest, left, availableOf)
  return oldest.flatMap((replicaSet): readonly Scaling[] => {
    const fewer = (unhealthy.get(replicaSet) ?? 0) + (healthy.get(replicaSet) ?? 0)
    return fewer === 0 ? [] : [{ replicaSet, replicas: replicasOf(replicaSet) - fewer }]
  })
}

/** Takes up to `most` from the sets in their order, from each as many as `from` says. */
function take(sets: readonly ReplicaSet[], most: number, from: (one: ReplicaSet) => number): ReadonlyMap<ReplicaSet, number> {
  const taken = new Map<ReplicaSet, number>()
  let left = most
  for (const one of sets) {
    const count = Math.max(0, Math.min(left, from(one)))
    taken.set(one, count)
    left -= count
  }
  return taken
}

/** The next step of Recreate: all old pods go before the first new one comes. */
export function recreateStep({ deployment, newSet, oldSets }: Sets): readonly Scaling[] {
  const shrink = oldSets.filter((one) => replicasOf(one) > 0).map((replicaSet) => ({ replicaSet, replicas: 0 }))
  if (shrink.length > 0 || newSet === undefined) return shrink
  const replicas = replicasOf(deployment)
  return replicasOf(newSet) === replicas ? [] : [{ replicaSet: newSet, replicas }]
}
