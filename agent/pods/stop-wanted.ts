import type { Pod } from './pod-types.ts'
import { graceMsOf } from './pod-types.ts'
import { isTerminal } from './status.ts'
import type { Stop, StopCause } from './view.ts'

export interface StopFacts {
  /** As last known; undefined when this agent has never seen the object. */
  readonly pod: Pod | undefined
  /** The control plane said that the pod is gone. */
  readonly isRemoved: boolean
  readonly hasFinished: boolean
  /** When the pod has run for `activeDeadlineSeconds`, monotonic. */
  readonly deadlineMs: number | undefined
  /** Grace kept on the containers, for when the object is not known. */
  readonly rememberedGraceMs: number
  readonly current: Stop | undefined
  readonly nowMs: number
}

/** For a pod whose object is gone nobody waits: its grace is cut to this. */
const removedGraceMs = 10_000

const rank: Readonly<Record<StopCause, number>> = { deadline: 0, finished: 0, deleted: 1, removed: 2 }

/** Whether and until when the pod is being stopped. Once begun it is never taken back, and its end only comes nearer. */
export function stopWanted(facts: StopFacts): Stop | undefined {
  const { current, nowMs } = facts
  const wanted = wantedNow(facts)
  if (wanted === undefined) return current
  const endsMs = nowMs + wanted.graceMs
  if (current === undefined) return { cause: wanted.cause, endsMs, graceMs: wanted.graceMs }
  const isStronger = rank[wanted.cause] > rank[current.cause]
  const isShorter = wanted.graceMs < current.graceMs
  if (!isStronger && !isShorter) return current
  return {
    cause: isStronger ? wanted.cause : current.cause,
    endsMs: Math.min(endsMs, current.endsMs),
    graceMs: Math.min(wanted.graceMs, current.graceMs),
  }
}

function wantedNow({ pod, isRemoved, hasFinished, deadlineMs, rememberedGraceMs, nowMs }: StopFacts) {
  if (isRemoved) return { cause: 'removed' as const, graceMs: removedGrace(pod, rememberedGraceMs) }
  if (pod === undefined) return undefined
  if (isDeleted(pod)) return { cause: 'deleted' as const, graceMs: deletionGraceMs(pod) }
  if (hasFinished) return undefined
  if (deadlineMs !== undefined && nowMs >= deadlineMs) return { cause: 'deadline' as const, graceMs: graceMsOf(pod) }
  return isTerminal(pod.status?.phase) ? { cause: 'finished' as const, graceMs: graceMsOf(pod) } : undefined
}

/** Gone because of a forced deletion: at once. Gone otherwise: politely, but soon. */
function removedGrace(pod: Pod | undefined, rememberedGraceMs: number): number {
  const own = pod === undefined ? rememberedGraceMs : isDeleted(pod) ? deletionGraceMs(pod) : graceMsOf(pod)
  return Math.min(own, removedGraceMs)
}

export const isDeleted = ({ metadata }: Pod): boolean =>
  metadata.deletionTimestamp !== undefined && metadata.deletionTimestamp !== null

function deletionGraceMs(pod: Pod): number {
  const seconds = pod.metadata.deletionGracePeriodSeconds
  return seconds === undefined ? graceMsOf(pod) : Math.max(0, seconds) * 1000
}
