import { formatTime } from '../../lib/clock.ts'
import type { ContainerRole, ContainerState } from '../runtime/runtime.ts'
import { type Container, type ContainerStatus, initContainersOf, type Pod, podText } from './pod-types.ts'
import { crashDelayMs, exitCodeOf, isOver, restartAtMs } from './restart.ts'
import { type Attempt, isInLiveSandbox, type PodView, pendingWait, shownWait } from './view.ts'

type State = NonNullable<ContainerStatus['state']>

/** What probes and dead containers' last words add to what the engine says. By container id. */
export interface StatusFacts {
  isReady(id: string): boolean
  isStarted(id: string): boolean
  /** Termination message; undefined when there is none. */
  lastWords(id: string): string | undefined
}

export interface ContainerStatuses {
  readonly init: readonly ContainerStatus[]
  readonly app: readonly ContainerStatus[]
}

interface ContainerStatusInput {
  readonly view: PodView
  readonly facts: StatusFacts
  /** The last status known of this container, for when the engine has none of it any more. */
  readonly previous: ContainerStatus | undefined
}

/** One entry of containerStatuses or initContainerStatuses. Pure. */
function containerStatus(container: Container, role: ContainerRole, input: ContainerStatusInput): ContainerStatus {
  const { view, facts, previous } = input
  const attempts = view.seen.attempts.get(container.name) ?? []
  const newest = attempts[0]
  if (newest === undefined) return missingStatus(container, role, input)
  const isRunning = newest.state.status === 'running'
  const state = currentState(view, container, role, newest, facts)
  const last = newest.isDead && 'waiting' in state ? newest : attempts[1]
  return {
    name: container.name,
    state,
    lastState:
      last === undefined
        ? previous?.restartCount === newest.state.identity.attempt
          ? (previous.lastState ?? {})
          : {}
        : terminated(last.state, facts),
    ready:
      role === 'init'
        ? newest.isDead && exitCodeOf(newest.state) === 0
        : isRunning && isInLiveSandbox(view, newest) && facts.isReady(newest.state.id),
    restartCount: newest.state.identity.attempt,
    // What this one was made of, which after a change of the spec is not yet what is wanted.
    image: newest.state.image,
    imageID: newest.state.imageId,
    containerID: containerId(newest.state),
    started: isRunning && facts.isStarted(newest.state.id),
  }
}

const containerId = ({ id }: ContainerState): string => `docker://${id}`

/** No container: not made yet, or taken away with the pod. */
function missingStatus(container: Container, role: ContainerRole, { view, previous }: ContainerStatusInput): ContainerStatus {
  if (previous !== undefined && view.memory.stop !== undefined) return settled(previous)
  return {
    name: container.name,
    state: { waiting: waitingReason(view, container, role) },
    lastState: {},
    ready: false,
    restartCount: 0,
    image: container.image ?? '',
    imageID: '',
    started: false,
  }
}

/** What is gone no longer runs, whatever was known of it last. */
function settled(previous: ContainerStatus): ContainerStatus {
  if (previous.state?.running === undefined) return { ...previous, ready: false, started: false }
  const { startedAt } = previous.state.running
  const message = 'The container could not be located when the pod was terminated'
  const gone = { exitCode: 137, reason: 'ContainerStatusUnknown', message, ...(startedAt === undefined ? {} : { startedAt }) }
  return { ...previous, ready: false, started: false, state: { terminated: gone } }
}

function currentState(view: PodView, container: Container, role: ContainerRole, newest: Attempt, facts: StatusFacts): State {
  const { state } = newest
  if (state.status === 'running') return { running: { startedAt: formatTime(state.startedMs ?? state.createdMs) } }
  if (!newest.isDead) return { waiting: waitingReason(view, container, role) }
  const isLeft = view.memory.stop !== undefined || isOver(view.pod, role, newest)
  const waiting = isLeft ? undefined : backOff(view, container, newest)
  return waiting === undefined ? terminated(state, facts) : { waiting }
}

interface Waiting {
  readonly reason: string
  readonly message?: string
}

/** Why a dead container that is to run again does not yet; undefined when it is about to. */
function backOff(view: PodView, { name }: Container, newest: Attempt): Waiting | undefined {
  const isHeld = pendingWait(view, `container/${name}`) !== undefined || view.memory.waits.has(`image/${name}`)
  const wait = isHeld ? waitOf(view, name) : undefined
  if (wait !== undefined) return wait
  if (restartAtMs(newest, view.memory.sandbox?.containerId) <= view.nowMs) return undefined
  const message = `back-off ${delayText(crashDelayMs(newest))} restarting failed container=${name} pod=${podText(view.pod)}`
  return { reason: 'CrashLoopBackOff', message }
}

/** As Go prints durations: 10s, 1m20s, 5m0s. */
function delayText(ms: number): string {
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}

function waitingReason(view: PodView, { name }: Container, role: ContainerRole): Waiting {
  const wait = waitOf(view, name)
  if (wait !== undefined) return wait
  const isHeldBack = role === 'app' && initContainersOf(view.pod).length > 0
  return { reason: isHeldBack ? 'PodInitializing' : 'ContainerCreating' }
}

function waitOf(view: PodView, name: string): Waiting | undefined {
  const wait = view.memory.waits.get(`container/${name}`) ?? view.memory.waits.get(`image/${name}`)
  if (wait === undefined) return undefined
  const { reason, message } = shownWait(wait, view.nowMs)
  return { reason, message }
}

function terminated(state: ContainerState, facts: StatusFacts): State {
  const message = state.error !== undefined && state.startedMs === undefined ? state.error : facts.lastWords(state.id)
  return {
    terminated: {
      exitCode: exitCodeOf(state),
      reason: terminatedReason(state),
      ...(message === undefined || message === '' ? {} : { message }),
      startedAt: formatTime(state.startedMs ?? state.createdMs),
      finishedAt: formatTime(state.finishedMs ?? state.createdMs),
      containerID: containerId(state),
    },
  }
}

function terminatedReason(state: ContainerState): string {
  if (state.oomKilled) return 'OOMKilled'
  if (state.error !== undefined && state.startedMs === undefined) return 'StartError'
  return exitCodeOf(state) === 0 ? 'Completed' : 'Error'
}

/** All statuses in the spec's order. */
export function containerStatuses(pod: Pod, view: PodView, facts: StatusFacts, previous: ContainerStatuses): ContainerStatuses {
  const one = (role: ContainerRole, known: readonly ContainerStatus[]) => (container: Container) =>
    containerStatus(container, role, { view, facts, previous: known.find(({ name }) => name === container.name) })
  return { init: initContainersOf(pod).map(one('init', previous.init)), app: pod.spec.containers.map(one('app', previous.app)) }
}
