import type { ContainerRole } from '../runtime/runtime.ts'
import { type Container, containersOf, graceMsOf, initContainersOf } from './pod-types.ts'
import { attemptAfter, exitCodeOf, isFinished, isOver, type NextAttempt, restartAtMs } from './restart.ts'
import type { CreateStep, Step, StopTarget } from './step.ts'
import { stopNext } from './stop-step.ts'
import { type Activity, type Attempt, liveSandbox, newestOf, type PodView, pendingWait, type Wait } from './view.ts'

/** Attempts kept of each container: the newest, and the one before for `logs --previous` and lastState. */
const keptAttempts = 2

/** Decides what brings the pod one step nearer to what is wanted. Pure. */
export function nextStep(view: PodView): Step {
  if (view.memory.stop !== undefined) return stopNext(view, view.memory.stop)
  const surplus = surplusTargets(view)
  if (surplus.length > 0) return { do: 'stop', targets: surplus }
  const old = outdatedIds(view)
  if (old.length > 0) return { do: 'remove', ids: old }
  if (isFinished(view)) return finishNext(view)
  return runNext(view)
}

function finishNext(view: PodView): Step {
  const { seen, memory } = view
  if (seen.sandboxes.length === 0 && memory.sandboxRemoved) return { do: 'wait', untilMs: undefined }
  return unless(pendingWait(view, 'remove'), { do: 'removeSandbox' })
}

function runNext(view: PodView): Step {
  const misfits = misfitTargets(view)
  if (misfits.length > 0) return { do: 'stop', targets: misfits }
  const sandbox = liveSandbox(view)
  if (sandbox === undefined) return unless(pendingWait(view, 'sandbox'), earlyImage(view) ?? { do: 'ensureSandbox' })
  // Another one was hidden from us for a while; what ran in it has been stopped above.
  if (view.seen.sandboxes.length > 1 && pendingWait(view, 'remove') === undefined)
    return { do: 'removeSandbox', keep: sandbox.containerId }
  if (!view.memory.volumesReady) return unless(pendingWait(view, 'volumes'), { do: 'prepareVolumes' })
  if (!isInitialized(view)) return initNext(view)
  return firstOf(view.pod.spec.containers.map((container) => containerNext(view, container, 'app')))
}

/** All init containers succeeded in this sandbox, or their successor already runs in it. */
export function isInitialized(view: PodView): boolean {
  const sandboxId = view.memory.sandbox?.containerId
  const hasApp = view.pod.spec.containers.some(({ name }) => newestOf(view.seen, name)?.sandboxId === sandboxId)
  return hasApp || initContainersOf(view.pod).every((container) => hasSucceeded(view, container))
}

/** What makes the first container of a pod that has none, when nothing but the sandbox is missing for that. */
export function firstCreate(view: PodView): CreateStep | undefined {
  if (view.seen.attempts.size > 0 || view.memory.stop !== undefined || !view.memory.volumesReady) return undefined
  const [init] = initContainersOf(view.pod)
  const step = firstOf(
    init === undefined
      ? view.pod.spec.containers.map((container) => containerNext(view, container, 'app'))
      : [containerNext(view, init, 'init')],
  )
  return step.do === 'create' ? step : undefined
}

/** What the first containers are made from is looked for while the sandbox is made. */
function earlyImage(view: PodView): Step | undefined {
  const [init] = initContainersOf(view.pod)
  for (const container of init === undefined ? view.pod.spec.containers : [init]) {
    if (newestOf(view.seen, container.name) !== undefined || view.memory.activities.has(container.name)) continue
    const step = makeNext(view, container, init === undefined ? 'app' : 'init', attemptAfter(undefined, undefined))
    if (step.do === 'fetchImage') return step
  }
  return undefined
}

function hasSucceeded({ seen, memory }: PodView, { name }: Container): boolean {
  const newest = newestOf(seen, name)
  if (newest === undefined || !newest.isDead || exitCodeOf(newest.state) !== 0) return false
  return newest.sandboxId === memory.sandbox?.containerId
}

/** Init containers run one by one in their order. */
function initNext(view: PodView): Step {
  const next = initContainersOf(view.pod).find((container) => !hasSucceeded(view, container))
  return next === undefined ? { do: 'wait', untilMs: undefined } : containerNext(view, next, 'init')
}

function containerNext(view: PodView, container: Container, role: ContainerRole): Step {
  const { memory, nowMs, pod } = view
  const { name } = container
  const activity = memory.activities.get(name)
  if (activity !== undefined && !isOutdated(activity, container)) return until(undefined)
  const newest = newestOf(view.seen, name)
  const wait = pendingWait(view, `container/${name}`)
  if (newest !== undefined && !newest.isDead) return wait === undefined ? aliveNext(view, container, newest) : until(wait.untilMs)
  const sandboxId = memory.sandbox?.containerId
  if (newest !== undefined) {
    const isRerunInit = role === 'init' && newest.sandboxId !== sandboxId
    if (!isRerunInit && isOver(pod, role, newest)) return until(undefined)
    const atMs = restartAtMs(newest, sandboxId)
    if (atMs > nowMs) return until(atMs)
  }
  if (wait !== undefined) return until(wait.untilMs)
  return makeNext(view, container, role, attemptAfter(newest, sandboxId))
}

/** The image was changed while another one is being pulled: that pull is given up. */
const isOutdated = (activity: Activity, { image }: Container): boolean => activity.kind === 'image' && activity.image !== image

/** Image first, then the container. */
function makeNext(view: PodView, container: Container, role: ContainerRole, next: NextAttempt): Step {
  const image = view.memory.images.get(container.name)
  if (image !== undefined && image.image === container.image && image.attempt === next.attempt)
    return { do: 'create', container, role, ...next }
  const wait = pendingWait(view, `image/${container.name}`)
  if (wait === undefined) return { do: 'fetchImage', container, attempt: next.attempt }
  return until(wait.then !== undefined && wait.then.atMs > view.nowMs ? wait.then.atMs : wait.untilMs)
}

function aliveNext({ memory, hashes }: PodView, container: Container, { state, sandboxId }: Attempt): Step {
  if (state.status === 'created') {
    // Made, but never started, for what is no longer wanted: made anew under the same number.
    const isStale = sandboxId !== memory.sandbox?.containerId || state.identity.specHash !== hashes.get(container.name)
    return isStale ? { do: 'remove', ids: [state.id] } : { do: 'start', id: state.id, container }
  }
  if (memory.shut.has(state.id)) return { do: 'remove', ids: [state.id] }
  if (memory.postStart.get(state.id) === 'pending') return { do: 'postStart', id: state.id, container }
  return until(undefined)
}

const until = (untilMs: number | undefined): Step => ({ do: 'wait', untilMs })
const unless = (wait: Wait | undefined, step: Step): Step => (wait === undefined ? step : until(wait.untilMs))

/** The first step that does something; else the shortest wait. */
function firstOf(steps: readonly Step[]): Step {
  let soonest: number | undefined
  for (const step of steps) {
    if (step.do !== 'wait') return step
    if (step.untilMs !== undefined && (soonest === undefined || step.untilMs < soonest)) soonest = step.untilMs
  }
  return until(soonest)
}

/** Running containers that must not be: an older attempt beside a newer one, or a name that the spec doesn't have. */
function surplusTargets(view: PodView): readonly StopTarget[] {
  const names = new Set(containersOf(view.pod).map(({ name }) => name))
  const targets: StopTarget[] = []
  for (const [container, attempts] of view.seen.attempts) {
    for (const { state } of attempts.slice(names.has(container) ? 1 : 0)) {
      if (state.status !== 'running' || isStopping(view, container)) continue
      targets.push({ id: state.id, container, graceMs: graceMsOf(view.pod), message: `Stopping container ${container}` })
    }
  }
  return targets
}

/** Running containers that have to be restarted: other spec, other sandbox, a failed probe or hook. */
function misfitTargets(view: PodView): readonly StopTarget[] {
  const targets: StopTarget[] = []
  for (const container of containersOf(view.pod)) {
    const newest = newestOf(view.seen, container.name)
    if (newest?.state.status !== 'running' || isStopping(view, container.name)) continue
    const why = misfit(view, container, newest)
    if (why !== undefined) targets.push({ id: newest.state.id, container: container.name, graceMs: graceMsOf(view.pod), ...why })
  }
  return targets
}

function misfit(
  view: PodView,
  { name }: Container,
  { state, sandboxId }: Attempt,
): (Partial<StopTarget> & { message: string }) | undefined {
  const { memory, hashes } = view
  const hash = hashes.get(name)
  if (hash !== undefined && hash !== state.identity.specHash)
    return { message: `Container ${name} definition changed, will be restarted` }
  const sandbox = liveSandbox(view)
  const hasLostSandbox =
    sandbox === undefined ? view.seen.sandboxes.every(({ status }) => status !== 'running') : sandbox.containerId !== sandboxId
  if (hasLostSandbox) return { message: `Container ${name} has lost its sandbox, will be restarted` }
  if (memory.postStart.get(state.id) === 'failed')
    return { message: `Container ${name} failed its postStart hook, will be restarted` }
  const unhealthy = memory.unhealthy.get(state.id)
  if (unhealthy === undefined) return undefined
  return unhealthy.graceMs === undefined
    ? { message: unhealthy.message }
    : { message: unhealthy.message, graceMs: unhealthy.graceMs }
}

/** A stop goes on, or failed a moment ago. */
const isStopping = (view: PodView, container: string): boolean =>
  view.memory.activities.get(container)?.kind === 'stop' || pendingWait(view, `stop/${container}`) !== undefined

/** Dead attempts beyond those kept, and dead sandboxes' containers that no name in the spec claims. */
function outdatedIds({ pod, seen }: PodView): readonly string[] {
  const names = new Set(containersOf(pod).map(({ name }) => name))
  return [...seen.attempts].flatMap(([container, attempts]) =>
    attempts
      .slice(names.has(container) ? keptAttempts : 0)
      .filter(({ state }) => state.status !== 'running')
      .map(({ state }) => state.id),
  )
}
