import type { Deployment } from '../../../api/kinds/deployment.ts'
import type { ReplicaSet } from '../../../api/kinds/replica-set.ts'

export interface Limits {
  readonly maxSurge: number
  readonly maxUnavailable: number
}

/** The strategy's limits as numbers of pods: surge is rounded up, unavailable down, and both are never 0. */
export function limitsOf({ spec }: Deployment): Limits {
  const replicas = spec.replicas ?? 1
  if (spec.strategy?.type === 'Recreate') return { maxSurge: 0, maxUnavailable: 0 }
  const { maxSurge = '25%', maxUnavailable = '25%' } = spec.strategy?.rollingUpdate ?? {}
  const surge = countOf(maxSurge, replicas, Math.ceil)
  const unavailable = countOf(maxUnavailable, replicas, Math.floor)
  // Otherwise nothing could ever move.
  return { maxSurge: surge, maxUnavailable: Math.min(surge === 0 && unavailable === 0 ? 1 : unavailable, replicas) }
}

function countOf(value: number | string, replicas: number, round: (count: number) => number): number {
  const percent = /^(\d+)%$/.exec(String(value))?.[1]
  return percent === undefined ? Math.max(0, Number(value) || 0) : round((Number(percent) * replicas) / 100)
}

export const replicasOf = ({ spec }: Deployment | ReplicaSet): number => spec.replicas ?? 1
export const sum = (counts: readonly number[]): number => counts.reduce((total, one) => total + one, 0)

/**
 * Pods of a set that count as available. Never more than it is to have: while its surplus pods are still to be deleted,
 * its status counts them.
 */
export const availableOf = (one: ReplicaSet): number => Math.min(one.status?.availableReplicas ?? 0, replicasOf(one))

/** A new number of pods for a set. */
export interface Scaling {
  readonly replicaSet: ReplicaSet
  readonly replicas: number
}

export interface Sets {
  readonly deployment: Deployment
  /** The set of the template that is wanted now; undefined until it is made. */
  readonly newSet: ReplicaSet | undefined
  readonly oldSets: readonly ReplicaSet[]
}

export const allOf = ({ newSet, oldSets }: Pick<Sets, 'newSet' | 'oldSets'>): readonly ReplicaSet[] =>
  newSet === undefined ? oldSets : [...oldSets, newSet]
export const totalReplicas = (sets: readonly ReplicaSet[]): number => sum(sets.map(replicasOf))
