import { formatTime } from '../../lib/clock.ts'
import type { ContainerStatuses } from './container-status.ts'
import type { ContainerStatus, PodCondition } from './pod-types.ts'
import { liveSandbox, type PodView } from './view.ts'

export interface ConditionsInput {
  readonly view: PodView
  readonly statuses: ContainerStatuses
  readonly phase: string
  readonly previous: readonly PodCondition[]
  readonly wallMs: number
}

interface Fact {
  readonly type: string
  readonly isTrue: boolean
  readonly reason?: string
  readonly message?: string
}

/** Ours are computed, those of others kept; the time of a transition moves only with the status. */
export function conditions(input: ConditionsInput): readonly PodCondition[] {
  const { view, previous, wallMs } = input
  const generation = view.pod.metadata.generation
  const facts = [
    { type: 'PodReadyToStartContainers', isTrue: liveSandbox(view) !== undefined },
    initialized(input),
    ...readiness(input),
    { type: 'PodScheduled', isTrue: true },
  ]
  const ours = facts.map((fact): PodCondition => {
    const status = fact.isTrue ? 'True' : 'False'
    const before = previous.find(({ type }) => type === fact.type)
    const time = before?.status === status ? before.lastTransitionTime : undefined
    return {
      type: fact.type,
      status,
      ...(fact.reason === undefined ? {} : { reason: fact.reason }),
      ...(fact.message === undefined ? {} : { message: fact.message }),
      lastTransitionTime: time ?? formatTime(wallMs),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    }
  })
  const known = new Set(facts.map(({ type }) => type))
  return [...ours, ...previous.filter(({ type }) => !known.has(type))]
}

function initialized({ statuses, phase }: ConditionsInput): Fact {
  if (phase === 'Succeeded') return { type: 'Initialized', isTrue: true, reason: 'PodCompleted' }
  const hasApp = statuses.app.some(({ state }) => state?.running !== undefined || state?.terminated !== undefined)
  const incomplete = statuses.init.filter(({ state }) => state?.terminated?.exitCode !== 0)
  if (hasApp || incomplete.length === 0) return { type: 'Initialized', isTrue: true }
  return {
    type: 'Initialized',
    isTrue: false,
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: ${namesOf(incomplete)}`,
  }
}

function readiness(input: ConditionsInput): readonly [Fact, Fact] {
  const containers = containersReady(input)
  if (!containers.isTrue) return [containers, { ...containers, type: 'Ready' }]
  const { view, previous } = input
  const closed = (view.pod.spec.readinessGates ?? []).filter(
    ({ conditionType }) => previous.find(({ type }) => type === conditionType)?.status !== 'True',
  )
  if (closed.length === 0) return [containers, { type: 'Ready', isTrue: true }]
  const messages = closed.map(({ conditionType }) => {
    const found = previous.find(({ type }) => type === conditionType)
    return found === undefined
      ? `corresponding condition of pod readiness gate "${conditionType}" does not exist.`
      : `the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`
  })
  return [containers, { type: 'Ready', isTrue: false, reason: 'ReadinessGatesNotReady', message: messages.join(', ') }]
}

function containersReady({ statuses, phase }: ConditionsInput): Fact {
  const type = 'ContainersReady'
  if (phase === 'Succeeded') return { type, isTrue: false, reason: 'PodCompleted' }
  if (phase === 'Failed') return { type, isTrue: false, reason: 'PodFailed' }
  const unready = statuses.app.filter(({ ready }) => !ready)
  if (unready.length === 0) return { type, isTrue: true }
  return { type, isTrue: false, reason: 'ContainersNotReady', message: `containers with unready status: ${namesOf(unready)}` }
}

const namesOf = (statuses: readonly ContainerStatus[]): string => `[${statuses.map(({ name }) => name).join(' ')}]`
