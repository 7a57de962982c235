import type { Deployment } from '../../../api/kinds/deployment.ts'
import type { ReplicaSet } from '../../../api/kinds/replica-set.ts'
import { desiredAnnotation, maxAnnotation } from './proportional.ts'

export const revisionAnnotation = 'deployment.kubernetes.io/revision'
const historyAnnotation = 'deployment.kubernetes.io/revision-history'
const maxHistory = 2000

/** What a set does not take over from its Deployment. */
const own: readonly string[] = [
  'kubectl.kubernetes.io/last-applied-configuration',
  'deprecated.deployment.rollback.revision',
  revisionAnnotation,
  historyAnnotation,
  desiredAnnotation,
  maxAnnotation,
]

export function revisionOf(object: ReplicaSet | Deployment): number {
  const text = object.metadata.annotations?.[revisionAnnotation] ?? '0'
  return /^\d{1,15}$/.test(text) ? Number(text) : 0
}

/** The revision that the set of the newest template has or gets: above all old ones. */
export function newRevision(newSet: ReplicaSet | undefined, oldSets: readonly ReplicaSet[]): number {
  const above = Math.max(0, ...oldSets.map(revisionOf)) + 1
  return newSet === undefined ? above : Math.max(above, revisionOf(newSet))
}

/** Annotations of the set: the Deployment's, its revision, and the revisions that it had before a rollback to it. */
export function setAnnotations(
  deployment: Deployment,
  replicaSet: ReplicaSet | undefined,
  revision: number,
): Readonly<Record<string, string>> {
  const inherited = Object.entries(deployment.metadata.annotations ?? {}).filter(([name]) => !own.includes(name))
  const known = replicaSet?.metadata.annotations ?? {}
  const before = known[revisionAnnotation]
  const history = known[historyAnnotation]
  const hasMoved = before !== undefined && before !== String(revision)
  const past = hasMoved ? [history, before].filter((one) => one !== undefined && one !== '').join(',') : history
  return {
    ...known,
    ...Object.fromEntries(inherited),
    [revisionAnnotation]: String(revision),
    ...(past === undefined ? {} : { [historyAnnotation]: past.slice(-maxHistory) }),
  }
}

/** Old sets beyond the limit of history that nothing is left of; the lowest revisions first. */
export function setsToForget(deployment: Deployment, oldSets: readonly ReplicaSet[]): readonly ReplicaSet[] {
  const limit = deployment.spec.revisionHistoryLimit ?? 10
  const idle = oldSets.filter(isIdle).sort((left, right) => revisionOf(left) - revisionOf(right))
  return idle.slice(0, Math.max(0, oldSets.filter((one) => one.metadata.deletionTimestamp === undefined).length - limit))
}

function isIdle({ metadata, spec, status }: ReplicaSet): boolean {
  const hasSeenIt = (metadata.generation ?? 0) <= (status?.observedGeneration ?? 0)
  return (spec.replicas ?? 1) === 0 && (status?.replicas ?? 0) === 0 && hasSeenIt && metadata.deletionTimestamp === undefined
}
