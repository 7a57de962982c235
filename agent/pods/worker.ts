import { dequal } from 'dequal'
import { parseTime } from '../../lib/clock.ts'
import type { ContainerState } from '../runtime/runtime.ts'
import { Activities } from './activities.ts'
import { configVersions } from './config-versions.ts'
import type { StatusFacts } from './container-status.ts'
import { type Backoffs, messageOf, PodContext } from './context.ts'
import type { PodsDeps } from './deps.ts'
import { doStep } from './do-step.ts'
import type { PullSlots } from './fetch-image.ts'
import { LastWords } from './last-words.ts'
import type { Touched } from './make-container.ts'
import { firstCreate, nextStep } from './next-step.ts'
import { Sightings } from './observe.ts'
import { openGates } from './open-gates.ts'
import { PodMemory } from './pod-memory.ts'
import { type Pod, type PodStatus, podText } from './pod-types.ts'
import { previousStatus } from './previous-status.ts'
import { probeTargets } from './probe-targets.ts'
import { crashDelayMs, isFinished, isOver } from './restart.ts'
import { specHashes } from './spec-hash.ts'
import { podStatus } from './status.ts'
import type { Step } from './step.ts'
import { stopNext } from './stop-step.ts'
import { stopWanted } from './stop-wanted.ts'
import { annotationKeys, type PodView, type SeenPod } from './view.ts'

/** Steps in a row before another pod has its turn. */
const maxSteps = 24
const listDeadlineMs = 30_000
const volumesDeadlineMs = 60_000

export interface WorkerOptions {
  readonly uid: string
  readonly deps: PodsDeps
  readonly backoffs: Backoffs
  readonly slots: PullSlots
  /** Whether the engine surely has no container of this pod. */
  hasNothing(): boolean
  /** Asks for another `sync`. */
  ring(): void
}

/** `gone`: nothing of the pod is left and the control plane knows. `untilMs`: look again then (monotonic), or when something rings. */
export type SyncResult = { readonly gone: true } | { readonly gone: false; readonly untilMs: number | undefined }

/**
 * Brings one pod to what is wanted, step by step: look, decide, do. `sync` is never called twice at a time. Keeps
 * nothing that a new worker could not find out again from the engine.
 */
export class PodWorker {
  readonly #context: PodContext
  readonly #options: WorkerOptions
  readonly #memory = new PodMemory()
  readonly #sightings: Sightings
  readonly #lastWords = new LastWords()
  #pod: Pod | undefined
  #reported: PodStatus | undefined
  #hasEnded = false
  #startedMs: number | undefined
  readonly #toldBackOff = new Set<string>()
  /** Versions of the ConfigMaps and Secrets that the pod uses. */
  #configs = ''
  #isDoing = false
  #hasLooked = false
  /** Something may have happened to containers that were seen before. */
  #mustList = false
  /** An activity that leaves containers alone has ended, and this was not looked at yet. */
  #hasNews = false
  /** Fingerprint of what was last seen, by which a relist finds out whether there is something new. */
  #print = ''

  constructor(options: WorkerOptions) {
    const { uid, deps, backoffs } = options
    this.#options = options
    this.#sightings = new Sightings(deps.clock)
    const activities = new Activities({
      shown: this.#memory.activities,
      ended: ({ kind }) => {
        // What has been stopped is looked for.
        if (kind === 'stop') this.#mustList = true
        if (kind !== 'stop' && this.#isDoing) this.#hasNews = true
        else options.ring()
      },
      failed: (container, err) => {
        deps.log.warn('a container activity failed', { podUid: uid, container, err })
        this.#context.wait(`container/${container}`, 'Error', messageOf(err))
      },
    })
    this.#context = new PodContext({ uid, deps, backoffs, memory: this.#memory, activities })
  }

  /** Whether the engine's list says something that this worker has not seen. */
  isNews(states: readonly ContainerState[]): boolean {
    return fingerprint(states) !== this.#print
  }

  async sync(signal: AbortSignal): Promise<SyncResult> {
    this.#isDoing = true
    try {
      return await this.#doSteps(signal)
    } finally {
      this.#isDoing = false
      // It ended for another reason than that nothing was left to do.
      if (this.#hasNews) this.#options.ring()
      this.#hasNews = false
    }
  }

  async #doSteps(signal: AbortSignal): Promise<SyncResult> {
    const { clock, desired } = this.#options.deps
    let states = this.#isUntouched() ? [] : await this.#list(signal)
    this.#hasLooked = true
    for (let count = 0; count < maxSteps; count++) {
      this.#hasNews = false
      const isRemoved = desired.pod(this.#options.uid) === undefined && desired.isRemoved(this.#options.uid)
      await this.#follow(signal)
      if (this.#pod === undefined && !isRemoved) return { gone: false, untilMs: undefined }
      const seen = await this.#look(states, isRemoved, signal)
      const step = this.#decide(seen, isRemoved)
      if (step.do === 'wait') return { gone: false, untilMs: this.#lookAgainMs(step.untilMs) }
      if (step.do === 'done') return this.#done(isRemoved)
      const touched = await doStep(
        this.#context,
        step,
        {
          ...{ pod: this.#pod, states, slots: this.#options.slots },
          firstCreate: () => this.#pod && firstCreate(this.#view(this.#pod, seen)),
        },
        signal,
      )
      if (!leavesContainers.has(step.do)) states = await this.#lookAfter(states, touched, signal)
    }
    return { gone: false, untilMs: clock.monotonicMs() }
  }

  /** A pod that has just come to this node: there is nothing to look for, and its start need not wait for that. */
  #isUntouched(): boolean {
    const { uid, deps, hasNothing } = this.#options
    return !this.#hasLooked && deps.desired.pod(uid) !== undefined && hasNothing()
  }

  /** What was last reported; undefined before that. */
  get status(): PodStatus | undefined {
    return this.#reported
  }

  /** Resolves when nothing of this worker goes on any more, after its signal was aborted. */
  settled(): Promise<void> {
    return this.#context.activities.settled()
  }

  async #list(signal: AbortSignal): Promise<readonly ContainerState[]> {
    this.#mustList = false
    const { runtime } = this.#options.deps
    const states = await this.#context.deadline(listDeadlineMs, 'list', signal, (inner) =>
      runtime.listPod(this.#options.uid, { signal: inner }),
    )
    this.#print = fingerprint(states)
    return states
  }

  /**
   * What there is after a step. Where that has changed one container only, the others are taken for what they were a
   * moment ago: if something happens to them meanwhile, an event or the next relist says so.
   */
  async #lookAfter(states: readonly ContainerState[], touched: Touched, signal: AbortSignal): Promise<readonly ContainerState[]> {
    if (touched === undefined || this.#mustList) return await this.#list(signal)
    if (typeof touched === 'object') return this.#now(states, touched)
    const { runtime } = this.#options.deps
    const state = await this.#context.deadline(listDeadlineMs, 'look', signal, (inner) =>
      runtime.state(touched, { signal: inner }),
    )
    if (state === undefined || state.identity.podUid !== this.#options.uid) return await this.#list(signal)
    return this.#now(states, [state])
  }

  #now(before: readonly ContainerState[], changed: readonly ContainerState[]): readonly ContainerState[] {
    const now = [...before.filter(({ id }) => !changed.some((one) => one.id === id)), ...changed]
    this.#print = fingerprint(now)
    return now
  }

  /** Takes over a changed object; what its configuration stood in the way of is tried again. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { desired, volumes } = this.#options.deps
    const pod = desired.pod(this.#options.uid)
    if (pod === undefined) return
    const isNew = this.#pod === undefined || !isSameWish(pod, this.#pod)
    this.#pod = pod
    this.#context.pod = pod
    const version = configVersions(pod, desired)
    if (!isNew && version === this.#configs) return
    this.#configs = version
    this.#memory.dropConfigWaits()
    if (!this.#memory.volumesReady || this.#memory.stop !== undefined) return
    try {
      await this.#context.deadline(volumesDeadlineMs, 'refresh', signal, (inner) =>
        volumes.refresh(pod, desired, { signal: inner }),
      )
    } catch (err) {
      signal.throwIfAborted()
      this.#context.event('Warning', 'FailedMount', messageOf(err))
    }
  }

  async #look(states: readonly ContainerState[], isRemoved: boolean, signal: AbortSignal): Promise<SeenPod> {
    const { clock, probes } = this.#options.deps
    const memory = this.#memory
    const seen = this.#sightings.observe(states)
    memory.keepOnly(new Set(states.map(({ id }) => id)))
    await this.#lastWords.read(this.#context, seen, signal)
    await openGates(this.#context, states, signal)
    const nowMs = clock.monotonicMs()
    const wasStopping = memory.stop !== undefined
    memory.stop = stopWanted({
      pod: this.#pod,
      isRemoved,
      hasFinished: this.#pod !== undefined && isFinished(this.#view(this.#pod, seen)),
      deadlineMs: this.#deadlineMs(seen),
      rememberedGraceMs: rememberedGrace(states),
      current: memory.stop,
      nowMs,
    })
    if (memory.stop !== undefined && !wasStopping) this.#context.activities.cancelKinds(['image', 'postStart'])
    if (this.#pod !== undefined) {
      const view = this.#view(this.#pod, seen)
      probes.sync(this.#options.uid, probeTargets(view, clock.now()))
      memory.unhealthy = this.#unhealthy(seen)
      if (!isRemoved) this.#tell(view)
    }
    return seen
  }

  #decide(seen: SeenPod, isRemoved: boolean): Step {
    const { stop } = this.#memory
    if (this.#pod !== undefined && !isRemoved) return nextStep(this.#view(this.#pod, seen))
    if (stop === undefined) return { do: 'wait', untilMs: undefined }
    return stopNext({ seen, memory: this.#memory, nowMs: this.#options.deps.clock.monotonicMs() }, stop)
  }

  #view(pod: Pod, seen: SeenPod): PodView {
    return { pod, seen, memory: this.#memory, nowMs: this.#options.deps.clock.monotonicMs(), hashes: specHashes(pod) }
  }

  /** Reports the status if it differs from the last one, and back-offs that have begun. */
  #tell(view: PodView): void {
    const { reporter, clock, node } = this.#options.deps
    if (this.#hasEnded || this.#isAdopting(view)) return
    const previous = previousStatus(this.#reported, view.pod.status)
    const status = podStatus({ view, facts: this.#facts(view), node, previous, wallMs: clock.now() })
    if (this.#reported === undefined || !dequal(status, this.#reported)) {
      this.#reported = status
      reporter.status(view.pod, status, false)
    }
    this.#tellBackOffs(view)
  }

  /**
   * A new agent has not asked yet: a running sandbox for its address, a running container whether it is ready. Soon it
   * has, and nothing will have changed.
   */
  #isAdopting({ seen, memory }: PodView): boolean {
    if (memory.stop === undefined && this.#options.deps.probes.isAwaited(this.#options.uid)) return true
    if (memory.sandbox !== undefined || memory.stop !== undefined || memory.waits.has('sandbox')) return false
    return seen.sandboxes.some(({ status }) => status === 'running')
  }

  #tellBackOffs(view: PodView): void {
    for (const [name, [newest]] of view.seen.attempts) {
      if (newest?.state.isPaused === true) {
        const text = `Container ${name} was paused past Skiff, and does nothing until somebody runs docker unpause; only a liveness probe would restart it`
        this.#tellOnce(`${newest.state.id}/paused`, () => this.#context.event('Warning', 'ContainerPaused', text, name))
      }
      if (newest === undefined || !newest.isDead || view.memory.stop !== undefined) continue
      if (isOver(view.pod, newest.state.identity.role, newest) || crashDelayMs(newest) === 0) continue
      const text = `Back-off restarting failed container ${name} in pod ${podText(view.pod)}`
      this.#tellOnce(newest.state.id, () => this.#context.event('Warning', 'BackOff', text, name))
    }
    for (const [key, { then }] of view.memory.waits) {
      if (then === undefined || view.nowMs < then.atMs) continue
      const name = key.slice(key.indexOf('/') + 1)
      this.#tellOnce(`${key}/${then.atMs}`, () => {
        this.#context.event('Normal', 'BackOff', then.message, name)
        this.#context.event('Warning', 'Failed', `Error: ${then.reason}`, name)
      })
    }
  }

  #tellOnce(key: string, tell: () => void): void {
    if (this.#toldBackOff.has(key)) return
    if (this.#toldBackOff.size > 100) this.#toldBackOff.clear()
    this.#toldBackOff.add(key)
    tell()
  }

  #facts({ memory }: PodView): StatusFacts {
    const { uid, deps } = this.#options
    const isHeld = (id: string): boolean => memory.postStart.get(id) === 'pending' || memory.shut.has(id)
    return {
      isReady: (id) => !isHeld(id) && deps.probes.isReady(uid, id),
      isStarted: (id) => !isHeld(id) && deps.probes.isStarted(uid, id),
      lastWords: (id) => this.#lastWords.get(id),
    }
  }

  #unhealthy(seen: SeenPod): PodMemory['unhealthy'] {
    const { uid, deps } = this.#options
    const unhealthy = new Map<string, { message: string; graceMs: number | undefined }>()
    for (const [newest] of seen.attempts.values()) {
      const why = newest?.state.status === 'running' ? deps.probes.unhealthy(uid, newest.state.id) : undefined
      if (newest !== undefined && why !== undefined) unhealthy.set(newest.state.id, why)
    }
    return unhealthy
  }

  /** On the monotonic clock; the wall clock is asked once only. */
  #deadlineMs(seen: SeenPod): number | undefined {
    const seconds = this.#pod?.spec.activeDeadlineSeconds
    if (this.#pod === undefined || seconds === undefined) return undefined
    const { clock } = this.#options.deps
    const known = parseTime(this.#pod.status?.startTime) ?? seen.sandboxes[0]?.createdMs ?? clock.now()
    this.#startedMs ??= clock.monotonicMs() - Math.max(0, clock.now() - known)
    return this.#startedMs + seconds * 1000
  }

  #lookAgainMs(untilMs: number | undefined): number | undefined {
    const nowMs = this.#options.deps.clock.monotonicMs()
    const deadlineMs =
      this.#startedMs === undefined || this.#memory.stop !== undefined || this.#pod?.spec.activeDeadlineSeconds === undefined
        ? undefined
        : this.#startedMs + this.#pod.spec.activeDeadlineSeconds * 1000
    const times = [untilMs, this.#memory.nextTurnMs(nowMs), deadlineMs].filter((ms) => ms !== undefined)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  #done(isRemoved: boolean): SyncResult {
    const { reporter, desired, probes } = this.#options.deps
    const { uid } = this.#options
    probes.sync(uid, [])
    if (isRemoved) {
      desired.forget(uid)
      return { gone: true }
    }
    if (!this.#hasEnded && this.#pod !== undefined && this.#reported !== undefined)
      reporter.status(this.#pod, this.#reported, true)
    this.#hasEnded = true
    return { gone: false, untilMs: undefined }
  }
}

/** Steps after which the engine need not be asked again: they begin something beside the worker, or are about files. */
const leavesContainers: ReadonlySet<Step['do']> = new Set(['prepareVolumes', 'fetchImage', 'postStart'])

/** Whether all that containers and volumes are made from is the same; the API's copy of the status does not count. */
const isSameWish = (a: Pod, b: Pod): boolean =>
  a === b ||
  (dequal(a.spec, b.spec) &&
    dequal(a.metadata.labels, b.metadata.labels) &&
    dequal(a.metadata.annotations, b.metadata.annotations))

/** Id and state of each container. */
export const fingerprint = (states: readonly ContainerState[]): string =>
  states
    .map(({ id, status, isPaused, startedMs }) => `${id}/${isPaused === true ? 'paused' : status}/${startedMs ?? ''}`)
    .sort()
    .join(' ')

function rememberedGrace(states: readonly ContainerState[]): number {
  const graces = states.map(({ annotations }) => Number(annotations[annotationKeys.graceMs] ?? 'NaN')).filter(Number.isFinite)
  return graces.length === 0 ? 30_000 : Math.max(...graces)
}
