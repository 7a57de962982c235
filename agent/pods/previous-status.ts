import type { PodStatus } from './pod-types.ts'
import { isTerminal } from './status.ts'

/** Conditions that this agent computes; all others belong to whoever wrote them. */
const ours = new Set(['PodScheduled', 'PodReadyToStartContainers', 'Initialized', 'ContainersReady', 'Ready'])

/** What was known before: our last report, with what others wrote into the API's copy meanwhile. */
export function previousStatus(reported: PodStatus | undefined, stored: PodStatus | undefined): PodStatus | undefined {
  if (reported === undefined || stored === undefined) return reported ?? stored
  const foreign = (stored.conditions ?? []).filter(({ type }) => !ours.has(type))
  const own = (reported.conditions ?? []).filter(({ type }) => ours.has(type))
  const isEndedByOthers = isTerminal(stored.phase) && !isTerminal(reported.phase)
  return {
    ...reported,
    conditions: [...own, ...foreign],
    ...(stored.qosClass === undefined ? {} : { qosClass: stored.qosClass }),
    ...(isEndedByOthers
      ? {
          phase: stored.phase,
          ...(stored.reason === undefined ? {} : { reason: stored.reason }),
          ...(stored.message === undefined ? {} : { message: stored.message }),
        }
      : {}),
  }
}
