import type { ObjectMeta } from '../meta/object-meta.ts'
import { ageColumn, humanDuration, nameColumn } from './columns.ts'
import type { Column } from './define.ts'
import type { PodSpec } from './pod-spec/pod-spec.ts'
import type { ContainerState, ContainerStatus, PodStatus } from './pod-status.ts'

/** What Pod is made of, without Pod itself: its declaration imports this file. */
export interface PodLike {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly spec: PodSpec
  readonly status?: PodStatus
}

const none = '<none>'
const orNone = (text: string | undefined): string => (text === undefined || text === '' ? none : text)

export const podColumns: readonly Column<PodLike>[] = [
  nameColumn,
  { name: 'Ready', doc: 'Containers that are ready, of all.', cell: readyCount },
  { name: 'Status', doc: 'What the pod is doing.', cell: podStatusText },
  { name: 'Restarts', doc: 'How often containers were started again, and when last.', cell: restarts },
  ageColumn,
  { name: 'IP', wide: true, cell: (pod) => orNone(pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP) },
  { name: 'Node', wide: true, cell: (pod) => orNone(pod.spec.nodeName) },
  { name: 'Nominated Node', wide: true, cell: (pod) => orNone(pod.status?.nominatedNodeName) },
  { name: 'Readiness Gates', wide: true, cell: readinessGates },
]

const hasCondition = (pod: PodLike, type: string): boolean =>
  (pod.status?.conditions ?? []).some((condition) => condition.type === type && condition.status === 'True')

const isReadyAndRunning = ({ ready, state }: ContainerStatus): boolean => ready && state?.running !== undefined

function readyCount(pod: PodLike): string {
  const ready = firstInit(pod) === undefined ? (pod.status?.containerStatuses ?? []).filter(isReadyAndRunning).length : 0
  return `${ready}/${pod.spec.containers.length}`
}

/** The one word for what a pod is doing, as `kubectl get pods` shows it under STATUS. */
export function podStatusText(pod: PodLike): string {
  const status = pod.status ?? {}
  if (pod.metadata.deletionTimestamp !== undefined) {
    if (status.reason === 'NodeLost') return 'Unknown'
    if (status.phase !== 'Succeeded' && status.phase !== 'Failed') return 'Terminating'
  }
  const reason = orDefault(status.reason, status.phase ?? 'Pending')
  return firstInit(pod) ?? containersText(pod, reason)
}

const orDefault = (text: string | undefined, other: string): string => (text === undefined || text === '' ? other : text)

/** `Init:…` while an init container still has to succeed. */
function firstInit(pod: PodLike): string | undefined {
  if (hasCondition(pod, 'Initialized')) return undefined
  const statuses = pod.status?.initContainerStatuses ?? []
  const total = pod.spec.initContainers?.length ?? 0
  const at = statuses.findIndex(({ state }) => state?.terminated?.exitCode !== 0)
  const current = statuses[at]
  return current === undefined ? undefined : `Init:${initText(current.state ?? {}, `${at}/${total}`)}`
}

function initText(state: ContainerState, progress: string): string {
  if (state.terminated !== undefined) return endText(state.terminated)
  const waiting = state.waiting?.reason ?? ''
  return waiting !== '' && waiting !== 'PodInitializing' ? waiting : progress
}

type Terminated = NonNullable<ContainerState['terminated']>
function endText({ reason, signal, exitCode }: Terminated): string {
  if (reason !== undefined && reason !== '') return reason
  return signal !== undefined && signal !== 0 ? `Signal:${signal}` : `ExitCode:${exitCode}`
}

/** The first container that waits or has ended speaks for the pod. */
function containersText(pod: PodLike, otherwise: string): string {
  const statuses = pod.status?.containerStatuses ?? []
  const spoken = statuses.map(({ state }) => containerText(state ?? {})).find((text) => text !== undefined) ?? otherwise
  if (spoken !== 'Completed' || !statuses.some(isReadyAndRunning)) return spoken
  return hasCondition(pod, 'Ready') ? 'Running' : 'NotReady'
}

function containerText({ waiting, terminated }: ContainerState): string | undefined {
  if (waiting?.reason !== undefined && waiting.reason !== '') return waiting.reason
  return terminated === undefined ? undefined : endText(terminated)
}

/** Counts init containers while they run, the others after. */
function restarts(pod: PodLike, nowMs: number): string {
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {}
  const counted = firstInit(pod) === undefined ? containerStatuses : initContainerStatuses
  const count = counted.reduce((sum, one) => sum + one.restartCount, 0)
  const ends = counted.map((one) => Date.parse(one.lastState?.terminated?.finishedAt ?? '')).filter((ms) => !Number.isNaN(ms))
  return count === 0 || ends.length === 0 ? `${count}` : `${count} (${humanDuration(nowMs - Math.max(...ends))} ago)`
}

function readinessGates(pod: PodLike): string {
  const gates = pod.spec.readinessGates ?? []
  if (gates.length === 0) return none
  return `${gates.filter(({ conditionType }) => hasCondition(pod, conditionType)).length}/${gates.length}`
}
