import { unreachable } from '../../lib/assert.ts'
import { forEachLimit } from '../../lib/async.ts'
import type { Sandbox } from '../contracts.ts'
import type { ContainerState } from '../runtime/runtime.ts'
import { messageOf, type PodContext } from './context.ts'
import { fetchImage, type PullSlots } from './fetch-image.ts'
import { runPostStart } from './hooks.ts'
import { createContainer, makeContainer, type StartTarget, startContainer, type Touched } from './make-container.ts'
import { initContainersOf, type Pod } from './pod-types.ts'
import type { CreateStep, Step, StopTarget } from './step.ts'
import { stopContainer } from './stop-container.ts'
import { annotationKeys } from './view.ts'

const sandboxDeadlineMs = 90_000
const volumesDeadlineMs = 120_000
const removeDeadlineMs = 60_000
const removesAtOnce = 4

export interface StepFacts {
  readonly pod: Pod | undefined
  readonly states: readonly ContainerState[]
  readonly slots: PullSlots
  /** What makes the first container of a new pod, when nothing but the sandbox is missing for that. */
  firstCreate(): CreateStep | undefined
}

type Action = Exclude<Step, { readonly do: 'wait' | 'done' }>

/** Carries out one step. What fails is noted as a wait of the thing that failed, so others of the pod go on. */
export async function doStep(context: PodContext, step: Action, facts: StepFacts, signal: AbortSignal): Promise<Touched> {
  const { pod, states } = facts
  switch (step.do) {
    case 'stop':
      for (const target of step.targets) beginStop(context, target, signal)
      return undefined
    case 'remove':
      return await attempt(context, 'remove', signal, () => remove(context, step.ids, signal))
    case 'removeSandbox':
      return await attempt(context, 'remove', signal, () => removeSandbox(context, states, step.keep, signal))
    case 'cleanUp':
      return await attempt(context, 'remove', signal, () => cleanUp(context, signal))
    default:
      return pod === undefined ? undefined : await doForPod(context, step, { ...facts, pod }, signal)
  }
}

type PodFacts = StepFacts & { readonly pod: Pod }
type PodAction = Exclude<Action, { readonly do: 'stop' | 'remove' | 'removeSandbox' | 'cleanUp' }>

async function doForPod(context: PodContext, step: PodAction, facts: PodFacts, signal: AbortSignal): Promise<Touched> {
  const { pod, states, slots } = facts
  switch (step.do) {
    case 'ensureSandbox':
      return await beginPod(context, facts, signal)
    case 'prepareVolumes':
      await prepareVolumes(context, pod, signal)
      return undefined
    case 'fetchImage': {
      const { container } = step
      const activity = { kind: 'image', image: container.image ?? '', attempt: step.attempt } as const
      const work = (inner: AbortSignal): Promise<void> => fetchImage(context, { container, attempt: step.attempt, slots }, inner)
      context.activities.begin(container.name, activity, signal, work)
      return undefined
    }
    case 'create':
      return await makeContainer(context, pod, step, signal)
    case 'start':
      return await startContainer(context, { ...step, gate: gateOf(states, step.id) }, signal)
    case 'postStart': {
      const work = (inner: AbortSignal): Promise<void> => runPostStart(context, step, inner)
      context.activities.begin(step.container.name, { kind: 'postStart', id: step.id }, signal, work)
      return undefined
    }
    default:
      unreachable(step)
  }
}

/** The host name for which its gate waits. */
const gateOf = (states: readonly ContainerState[], id: string): string | undefined =>
  states.find((state) => state.id === id)?.annotations[annotationKeys.gate]

/**
 * Sees to sandbox and volumes, neither of which needs the other. While the sandbox is taken the first container is made
 * for it. Should another one come of it, or should the agent die in between, that container is one that was never
 * started in a sandbox that is not the pod's: it is removed, and made again.
 */
async function beginPod(context: PodContext, facts: PodFacts, signal: AbortSignal): Promise<Touched> {
  const { memory } = context
  const { pod, states } = facts
  const taking = Promise.withResolvers<Sandbox | undefined>()
  const ensuring = ensureSandbox(context, { pod, states, expected: taking.resolve }, signal).finally(() =>
    taking.resolve(undefined),
  )
  const preparing = memory.volumesReady || isWaiting(context, 'volumes') ? undefined : prepareVolumes(context, pod, signal)
  const making = async (): Promise<(StartTarget & { readonly sandbox: Sandbox }) | undefined> => {
    const sandbox = await taking.promise
    if (sandbox === undefined) return undefined
    await preparing
    // What is still to be fetched then is not waited for.
    for (const { name } of [...initContainersOf(pod), ...pod.spec.containers].slice(0, 1))
      await Promise.race([context.activities.ended(name), ensuring])
    const step = facts.firstCreate()
    const made = step && (await createContainer(context, { pod, sandbox, step }, signal))
    return made && { ...made, sandbox }
  }
  const [touched, made] = await Promise.all([ensuring, making(), preparing])
  if (made === undefined) return touched
  if (typeof touched !== 'object' || memory.sandbox?.containerId !== made.sandbox.containerId) return undefined
  const started = await startContainer(context, made, signal)
  return typeof started === 'object' ? [...touched, ...started] : undefined
}

const isWaiting = ({ memory, deps }: PodContext, key: string): boolean =>
  (memory.waits.get(key)?.untilMs ?? 0) > deps.clock.monotonicMs()

function beginStop(context: PodContext, target: StopTarget, signal: AbortSignal): void {
  const isRepeated = context.memory.activities.get(target.container)?.kind === 'stop'
  if (!isRepeated) context.event('Normal', 'Killing', target.message, target.container)
  const endsMs = context.deps.clock.monotonicMs() + target.graceMs
  const work = (inner: AbortSignal): Promise<void> => stopContainer(context, target, inner)
  context.activities.begin(target.container, { kind: 'stop', id: target.id, endsMs }, signal, work)
}

interface EnsureFacts extends Pick<PodFacts, 'pod' | 'states'> {
  readonly expected: (sandbox: Sandbox) => void
}

async function ensureSandbox(context: PodContext, { pod, states, expected }: EnsureFacts, signal: AbortSignal): Promise<Touched> {
  const { deps, memory, backoffs, uid } = context
  const before = states.filter(({ identity }) => identity.role === 'sandbox')
  const hadOne = before.length > 0
  const wasRunning = before.some(({ status }) => status === 'running')
  if (hadOne && !wasRunning) context.event('Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.')
  try {
    const { state, ...sandbox } = await context.deadline(sandboxDeadlineMs, 'sandbox', signal, (inner) =>
      deps.sandboxes.ensure(pod, states, { signal: inner, expected }),
    )
    memory.sandbox = sandbox
    memory.sandboxRemoved = false
    context.clear('sandbox')
    // Others than the one that it gave may have been removed.
    const isOnly = before.every(({ id }) => id === sandbox.containerId)
    const touched = isOnly ? ((state && [state]) ?? sandbox.containerId) : undefined
    if (wasRunning) return touched
    // One that dies at once must not be made again and again at full speed.
    const untilMs = deps.clock.monotonicMs() + backoffs.sandbox.next(uid)
    memory.waits.set('sandbox', { reason: 'SandboxChanged', message: '', untilMs })
    return touched
  } catch (err) {
    signal.throwIfAborted()
    const message = `Failed to create pod sandbox: ${messageOf(err)}`
    context.event('Warning', 'FailedCreatePodSandBox', message)
    context.wait('sandbox', 'FailedCreatePodSandBox', message)
    return undefined
  }
}

async function prepareVolumes(context: PodContext, pod: Pod, signal: AbortSignal): Promise<void> {
  const { deps, memory } = context
  try {
    memory.volumePaths = await context.deadline(volumesDeadlineMs, 'volumes', signal, (inner) =>
      deps.volumes.prepare(pod, deps.desired, { signal: inner }),
    )
    memory.volumesCleaned = false
    context.clear('volumes')
  } catch (err) {
    signal.throwIfAborted()
    context.event('Warning', 'FailedMount', messageOf(err))
    context.wait('volumes', 'FailedMount', messageOf(err))
  }
}

async function remove(context: PodContext, ids: readonly string[], signal: AbortSignal): Promise<void> {
  const { runtime } = context.deps
  await forEachLimit(ids, removesAtOnce, (id) =>
    context.deadline(removeDeadlineMs, 'remove', signal, (inner) => runtime.remove(id, { signal: inner })),
  )
}

async function removeSandbox(
  context: PodContext,
  states: readonly ContainerState[],
  keep: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { deps, memory, uid } = context
  const gone = states.filter(({ id }) => id !== keep)
  await context.deadline(removeDeadlineMs, 'remove sandbox', signal, (inner) =>
    deps.sandboxes.remove(uid, gone, { signal: inner }),
  )
  if (keep !== undefined) return
  memory.sandbox = undefined
  memory.sandboxRemoved = true
}

async function cleanUp(context: PodContext, signal: AbortSignal): Promise<void> {
  const { deps, memory, uid } = context
  await context.deadline(volumesDeadlineMs, 'clean up', signal, (inner) => deps.volumes.cleanUp(uid, { signal: inner }))
  memory.volumePaths = undefined
  memory.volumesCleaned = true
}

async function attempt(context: PodContext, key: string, signal: AbortSignal, work: () => Promise<void>): Promise<undefined> {
  try {
    await work()
    context.clear(key)
  } catch (err) {
    signal.throwIfAborted()
    context.deps.log.warn('a step of a pod failed', { podUid: context.uid, step: key, err })
    context.event('Warning', 'FailedKillPod', `error removing what is left of the pod: ${messageOf(err)}`)
    context.wait(key, 'FailedKillPod', messageOf(err))
  }
}
