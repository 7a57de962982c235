import { formatTime } from '../../lib/clock.ts'
import type { NodeFacts } from '../contracts.ts'
import { conditions } from './conditions.ts'
import { type ContainerStatuses, containerStatuses, type StatusFacts } from './container-status.ts'
import { type ContainerStatus, type Pod, type PodStatus, restartPolicyOf } from './pod-types.ts'
import { liveSandbox, type PodView, shownWait } from './view.ts'

export interface StatusInput {
  readonly view: PodView
  readonly facts: StatusFacts
  readonly node: NodeFacts
  /** Last status that was reported, or what the API has. */
  readonly previous: PodStatus | undefined
  /** Epoch milliseconds. */
  readonly wallMs: number
}

export const deadlineMessage = 'Pod was active on the node longer than the specified deadline'

/** The pod's status from what the engine says; survives a restart of the agent without change. Pure. */
export function podStatus(input: StatusInput): PodStatus {
  const { view, facts, node, previous, wallMs } = input
  const { pod } = view
  const statuses = containerStatuses(pod, view, facts, {
    init: previous?.initContainerStatuses ?? [],
    app: previous?.containerStatuses ?? [],
  })
  const phase = podPhase(view, statuses, previous?.phase)
  const ip = liveSandbox(view)?.ip ?? previous?.podIP ?? ''
  const why = podReason(view, previous, phase)
  return {
    phase,
    conditions: conditions({ view, statuses, phase, previous: previous?.conditions ?? [], wallMs }),
    ...why,
    hostIP: node.ip,
    hostIPs: [{ ip: node.ip }],
    ...(ip === '' ? {} : { podIP: ip, podIPs: [{ ip }] }),
    startTime: previous?.startTime ?? formatTime(firstSeenMs(view, wallMs)),
    ...(statuses.init.length === 0 ? {} : { initContainerStatuses: statuses.init }),
    containerStatuses: statuses.app,
    ...(previous?.qosClass === undefined ? {} : { qosClass: previous.qosClass }),
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
  }
}

const firstSeenMs = ({ seen }: PodView, wallMs: number): number =>
  [...seen.sandboxes, ...[...seen.attempts.values()].flat().map(({ state }) => state)].reduce(
    (first, { createdMs }) => Math.min(first, createdMs),
    wallMs,
  )

/** Reason and message of the pod as a whole; those that someone else gave (an eviction) stay. */
function podReason(
  { memory, nowMs }: PodView,
  previous: PodStatus | undefined,
  phase: string,
): { reason?: string; message?: string } {
  if (memory.stop?.cause === 'deadline') return { reason: 'DeadlineExceeded', message: deadlineMessage }
  if (isTerminal(previous?.phase)) {
    return {
      ...(previous?.reason === undefined ? {} : { reason: previous.reason }),
      ...(previous?.message === undefined ? {} : { message: previous.message }),
    }
  }
  const wait = phase === 'Pending' ? (memory.waits.get('sandbox') ?? memory.waits.get('volumes')) : undefined
  const message = wait === undefined ? '' : shownWait(wait, nowMs).message
  return message === '' ? {} : { message }
}

export const isTerminal = (phase: string | undefined): phase is 'Succeeded' | 'Failed' =>
  phase === 'Succeeded' || phase === 'Failed'

type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed'

/** Follows Kubernetes' rules; a finished phase never goes back. */
export function podPhase(view: PodView, statuses: ContainerStatuses, previous: string | undefined): Phase {
  if (isTerminal(previous)) return previous
  const isGone =
    statuses.app.every(({ state }) => state?.running === undefined) &&
    statuses.init.every(({ state }) => state?.running === undefined)
  if (view.memory.stop?.cause === 'deadline') return isGone ? 'Failed' : runningPhase(view.pod, statuses)
  if (view.memory.stop !== undefined && isGone) return allSucceeded(statuses.app) ? 'Succeeded' : 'Failed'
  return runningPhase(view.pod, statuses)
}

const exitCode = ({ state }: ContainerStatus): number | undefined => state?.terminated?.exitCode
const allSucceeded = (all: readonly ContainerStatus[]): boolean => all.every((one) => exitCode(one) === 0)

function runningPhase(pod: Pod, { init, app }: ContainerStatuses): Phase {
  const policy = restartPolicyOf(pod)
  const hasStarted = app.some(({ state, lastState }) => state?.waiting === undefined || lastState?.terminated !== undefined)
  if (!hasStarted && init.some((one) => exitCode(one) !== 0)) {
    const hasFailed = policy === 'Never' && init.some((one) => (exitCode(one) ?? 0) !== 0)
    return hasFailed ? 'Failed' : 'Pending'
  }
  const isWaiting = app.some(({ state, lastState }) => state?.waiting !== undefined && lastState?.terminated === undefined)
  if (isWaiting) return 'Pending'
  if (app.some(({ state }) => state?.running !== undefined)) return 'Running'
  if (policy === 'Always' || app.some(({ state }) => state?.waiting !== undefined)) return 'Running'
  if (allSucceeded(app)) return 'Succeeded'
  return policy === 'Never' ? 'Failed' : 'Running'
}
