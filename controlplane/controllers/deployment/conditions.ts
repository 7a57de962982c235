import type { Deployment, DeploymentCondition, DeploymentStatus } from '../../../api/kinds/deployment.ts'
import type { ReplicaSet } from '../../../api/kinds/replica-set.ts'
import { formatTime, parseTime } from '../../../lib/clock.ts'
import { allOf, limitsOf, replicasOf, type Sets, sum, totalReplicas } from './limits.ts'

type Counts = Omit<DeploymentStatus, 'conditions'>
const noDeadline = 2 ** 31 - 1

const progressingOf = (deployment: Deployment): DeploymentCondition | undefined =>
  deployment.status?.conditions?.find((one) => one.type === 'Progressing')

/** Milliseconds that an update may stand still; undefined: for ever. */
export function deadlineMs({ spec }: Deployment): number | undefined {
  const seconds = spec.progressDeadlineSeconds ?? 600
  return seconds >= noDeadline ? undefined : seconds * 1000
}

export function countsOf({ deployment, newSet, oldSets }: Sets): Counts {
  const all = allOf({ newSet, oldSets })
  const available = sum(all.map((one) => one.status?.availableReplicas ?? 0))
  const { generation } = deployment.metadata
  const { collisionCount } = deployment.status ?? {}
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    replicas: sum(all.map((one) => one.status?.replicas ?? 0)),
    updatedReplicas: newSet?.status?.replicas ?? 0,
    readyReplicas: sum(all.map((one) => one.status?.readyReplicas ?? 0)),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, totalReplicas(all) - available),
    ...(collisionCount === undefined ? {} : { collisionCount }),
  }
}

export function isComplete(deployment: Deployment, counts: Counts): boolean {
  const wanted = replicasOf(deployment)
  return (
    (counts.updatedReplicas ?? 0) === wanted &&
    (counts.replicas ?? 0) === wanted &&
    (counts.availableReplicas ?? 0) === wanted &&
    (counts.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  )
}

/** Whether pods have moved on since the last status. */
function hasProgressed(counts: Counts, before: DeploymentStatus = {}): boolean {
  const old = (one: Counts): number => (one.replicas ?? 0) - (one.updatedReplicas ?? 0)
  return (
    (counts.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(counts) < old(before) ||
    (counts.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (counts.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  )
}

interface Moment extends Sets {
  readonly counts: Counts
  readonly nowMs: number
  /** Name of a set that is being made now. */
  readonly created: string | undefined
}

export function conditionsOf(moment: Moment): readonly DeploymentCondition[] {
  const known = moment.deployment.status?.conditions ?? []
  const others = known.filter((one) => !['Available', 'Progressing', 'ReplicaFailure'].includes(one.type))
  const failure = failureOf(moment)
  return [...others, available(moment), ...progressing(moment), ...(failure === undefined ? [] : [failure])]
}

function available({ deployment, counts, nowMs }: Moment): DeploymentCondition {
  const needed = replicasOf(deployment) - limitsOf(deployment).maxUnavailable
  const isEnough = (counts.availableReplicas ?? 0) >= needed
  const next = isEnough
    ? { status: 'True', reason: 'MinimumReplicasAvailable', message: 'Deployment has minimum availability.' }
    : { status: 'False', reason: 'MinimumReplicasUnavailable', message: 'Deployment does not have minimum availability.' }
  return transition(deployment, { type: 'Available', ...next } as const as Next, nowMs)
}

type Next = Pick<DeploymentCondition, 'type' | 'status' | 'reason' | 'message'>

/** Kept as it is when neither status nor reason changes; the time of transition moves with the status only. */
function transition(deployment: Deployment, next: Next, nowMs: number): DeploymentCondition {
  const known = deployment.status?.conditions?.find((one) => one.type === next.type)
  if (known !== undefined && known.status === next.status && known.reason === next.reason) return known
  const now = formatTime(nowMs)
  const since = known?.status === next.status ? (known.lastTransitionTime ?? now) : now
  return { ...next, lastUpdateTime: now, lastTransitionTime: since }
}

function progressing(moment: Moment): readonly DeploymentCondition[] {
  const { deployment, nowMs } = moment
  if (deadlineMs(deployment) === undefined) return []
  const known = progressingOf(deployment)
  const next = nextProgressing(moment, known)
  if (next === undefined) return known === undefined ? [] : [known]
  const condition = transition(deployment, { type: 'Progressing', ...next }, nowMs)
  // Progress of the same kind again: the deadline starts over.
  const isRenewed = next.reason === 'ReplicaSetUpdated' && condition === known
  return [isRenewed ? { ...condition, ...next, lastUpdateTime: formatTime(nowMs) } : condition]
}

function nextProgressing(moment: Moment, known: DeploymentCondition | undefined): Omit<Next, 'type'> | undefined {
  const { deployment, newSet, counts, created } = moment
  const name = newSet?.metadata.name ?? deployment.metadata.name ?? ''
  if (created !== undefined) {
    return { status: 'True', reason: 'NewReplicaSetCreated', message: `Created new replica set "${created}"` }
  }
  const pause = pauseChange(deployment, known)
  if (pause !== undefined) return pause
  if (deployment.spec.paused === true) return undefined
  const wasComplete = known?.reason === 'NewReplicaSetAvailable' && counts.replicas === counts.updatedReplicas
  if (wasComplete) return undefined
  if (newSet !== undefined && isComplete(deployment, counts)) {
    return { status: 'True', reason: 'NewReplicaSetAvailable', message: `ReplicaSet "${name}" has successfully progressed.` }
  }
  if (hasProgressed(counts, deployment.status)) {
    return { status: 'True', reason: 'ReplicaSetUpdated', message: `ReplicaSet "${name}" is progressing.` }
  }
  if (newSet !== undefined && known === undefined) {
    return { status: 'True', reason: 'FoundNewReplicaSet', message: `Found new replica set "${name}"` }
  }
  if (hasTimedOut(moment, known)) {
    return { status: 'False', reason: 'ProgressDeadlineExceeded', message: `ReplicaSet "${name}" has timed out progressing.` }
  }
  return undefined
}

function pauseChange({ spec }: Deployment, known: DeploymentCondition | undefined): Omit<Next, 'type'> | undefined {
  const isPaused = spec.paused === true
  if (known?.reason === 'ProgressDeadlineExceeded') return undefined
  if (isPaused && known?.reason !== 'DeploymentPaused') {
    return { status: 'Unknown', reason: 'DeploymentPaused', message: 'Deployment is paused' }
  }
  if (!isPaused && known?.reason === 'DeploymentPaused') {
    return { status: 'Unknown', reason: 'DeploymentResumed', message: 'Deployment is resumed' }
  }
  return undefined
}

function hasTimedOut({ deployment, nowMs }: Moment, known: DeploymentCondition | undefined): boolean {
  const left = deadlineLeftMs(deployment, known, nowMs)
  return left !== undefined && left <= 0
}

/** Milliseconds until an update that stands still counts as failed; undefined when none is under way. */
export function deadlineLeftMs(
  deployment: Deployment,
  progressing: DeploymentCondition | undefined,
  nowMs: number,
): number | undefined {
  const deadline = deadlineMs(deployment)
  if (deadline === undefined || progressing === undefined || deployment.spec.paused === true) return undefined
  if (['NewReplicaSetAvailable', 'ProgressDeadlineExceeded'].includes(progressing.reason ?? '')) return undefined
  return (parseTime(progressing.lastUpdateTime) ?? nowMs) + deadline - nowMs
}

/** The new set's failure to make pods, or an old one's. */
function failureOf({ newSet, oldSets }: Moment): DeploymentCondition | undefined {
  const candidates: readonly ReplicaSet[] = newSet === undefined ? oldSets : [newSet, ...oldSets]
  for (const one of candidates) {
    const failure = one.status?.conditions?.find((condition) => condition.type === 'ReplicaFailure')
    if (failure !== undefined) {
      const { lastTransitionTime } = failure
      return { ...failure, ...(lastTransitionTime === undefined ? {} : { lastUpdateTime: lastTransitionTime }) }
    }
  }
  return undefined
}
