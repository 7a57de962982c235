import type { Deployment, DeploymentStatus } from '../../../api/kinds/deployment.ts'
import type { ReplicaSet } from '../../../api/kinds/replica-set.ts'
import { controllerRef } from '../../../api/meta/object-meta.ts'
import { isSameJson } from '../shared/deep-equal.ts'
import { conditionsOf, countsOf, deadlineLeftMs, isComplete } from './conditions.ts'
import { allOf, replicasOf, type Scaling, type Sets } from './limits.ts'
import { proportionalStep, scaleAnnotations, wasScaled } from './proportional.ts'
import { newRevision, revisionAnnotation, setAnnotations, setsToForget } from './revisions.ts'
import { newSetReplicas, recreateStep, rollingStep } from './rolling.ts'
import { hashLabel, newestReplicaSet, templateHash } from './template.ts'

export interface DeploymentSeen {
  readonly deployment: Deployment
  /** Its own sets. */
  readonly replicaSets: readonly ReplicaSet[]
  /** Pods of any set but the newest that still exist and have not finished. */
  readonly hasOldPods: (newSet: ReplicaSet | undefined) => boolean
  readonly nowMs: number
}

/** One change of a set: its annotations, and its number of pods. */
export interface SetChange {
  readonly replicaSet: ReplicaSet
  readonly annotations: Readonly<Record<string, string>>
  readonly replicas: number
  readonly minReadySeconds: number | undefined
}

export interface DeploymentPlan {
  readonly create: ReplicaSet | undefined
  readonly change: readonly SetChange[]
  readonly forget: readonly ReplicaSet[]
  /** The Deployment's own annotation of the newest revision, when it is not there yet. */
  readonly revision: string | undefined
  readonly status: DeploymentStatus
  readonly againMs: number | undefined
}

/** One step: the next is planned when this one can be seen. */
export function planDeployment(seen: DeploymentSeen): DeploymentPlan {
  const { deployment, replicaSets, nowMs } = seen
  const newSet = newestReplicaSet(deployment, replicaSets)
  const sets: Sets = { deployment, newSet, oldSets: replicaSets.filter((one) => one !== newSet) }
  const isLeaving = deployment.metadata.deletionTimestamp !== undefined
  const scalings = isLeaving ? [] : nextScalings(sets, seen)
  const create = !isLeaving && scalings.length === 0 && mayCreate(sets, seen) ? newReplicaSet(sets) : undefined
  const revision = newSet === undefined && create === undefined ? undefined : String(newRevision(newSet, sets.oldSets))
  const counts = countsOf(sets)
  const conditions = conditionsOf({ ...sets, counts, nowMs, created: create?.metadata.name })
  const left = deadlineLeftMs(
    deployment,
    conditions.find((one) => one.type === 'Progressing'),
    nowMs,
  )
  return {
    create,
    change: isLeaving ? [] : changesOf(sets, scalings),
    forget: !isLeaving && isComplete(deployment, counts) ? setsToForget(deployment, sets.oldSets) : [],
    revision: isLeaving || deployment.metadata.annotations?.[revisionAnnotation] === revision ? undefined : revision,
    status: { ...counts, conditions },
    // A second more, since times are written in whole seconds.
    againMs: left === undefined ? undefined : Math.max(0, left) + 1000,
  }
}

function nextScalings(sets: Sets, { hasOldPods }: DeploymentSeen): readonly Scaling[] {
  const { deployment, newSet } = sets
  if (deployment.spec.paused === true || wasScaled(sets)) return proportionalStep(sets)
  if (deployment.spec.strategy?.type !== 'Recreate') return rollingStep(sets)
  const step = recreateStep(sets)
  const isGrowing = step.some(({ replicaSet }) => replicaSet === newSet)
  return isGrowing && hasOldPods(newSet) ? [] : step
}

function mayCreate({ deployment, newSet, oldSets }: Sets, { hasOldPods }: DeploymentSeen): boolean {
  if (newSet !== undefined || deployment.spec.paused === true) return false
  if (deployment.spec.strategy?.type !== 'Recreate') return true
  return oldSets.every((one) => replicasOf(one) === 0) && !hasOldPods(undefined)
}

function newReplicaSet(sets: Sets): ReplicaSet {
  const { deployment, oldSets } = sets
  const { name = '', namespace = '' } = deployment.metadata
  const { template, selector, minReadySeconds } = deployment.spec
  const hash = templateHash(template, deployment.status?.collisionCount ?? 0)
  const labels = { ...template.metadata?.labels, [hashLabel]: hash }
  const annotations = {
    ...setAnnotations(deployment, undefined, newRevision(undefined, oldSets)),
    ...scaleAnnotations(deployment),
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: `${name}-${hash}`, namespace, labels, annotations, ownerReferences: [controllerRef(deployment)] },
    spec: {
      replicas: newSetReplicas(sets),
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  }
}

/** What differs only. The number that a set is scaled for is noted on each set with pods. */
function changesOf(sets: Sets, scalings: readonly Scaling[]): readonly SetChange[] {
  const { deployment, newSet, oldSets } = sets
  const scaled = new Map(scalings.map(({ replicaSet, replicas }) => [replicaSet, replicas]))
  return allOf(sets).flatMap((replicaSet): readonly SetChange[] => {
    const replicas = scaled.get(replicaSet) ?? replicasOf(replicaSet)
    const known = replicaSet.metadata.annotations ?? {}
    const isNew = replicaSet === newSet && deployment.spec.paused !== true
    const base = isNew ? setAnnotations(deployment, replicaSet, newRevision(newSet, oldSets)) : known
    const annotations = replicas > 0 || scaled.has(replicaSet) ? { ...base, ...scaleAnnotations(deployment) } : base
    const minReadySeconds = isNew ? deployment.spec.minReadySeconds : replicaSet.spec.minReadySeconds
    const isSame =
      replicas === replicasOf(replicaSet) &&
      isSameJson(annotations, known) &&
      (minReadySeconds ?? 0) === (replicaSet.spec.minReadySeconds ?? 0)
    return isSame ? [] : [{ replicaSet, annotations, replicas, minReadySeconds }]
  })
}
