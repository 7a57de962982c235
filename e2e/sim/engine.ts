import { HollowRuntime } from '../../agent/runtime/hollow/hollow-runtime.ts'
import type { Call, Faults } from '../../agent/runtime/hollow/script.ts'
import type { ContainerEvent, ContainerSpec, ContainerState, Runtime } from '../../agent/runtime/runtime.ts'
import { type AbortOptions, aborted, sleep, withDeadline } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { SimProcess } from './process.ts'

/** Images whose name begins like this cannot be pulled, and whose programs end at once. */
export const missingImage = 'missing'
export const crashingImage = 'crash'
/** Ends well by itself. */
export const taskImage = 'task'
/** Never gets ready, where somebody asks. */
export const sickImage = 'sick'

const callMs = 20_000
const pullMs = 120_000

/** Lists leave out a container, are those of when it began, or have one ended that runs. */
export const engineLies = ['leavesOut', 'isOld', 'saysEnded'] as const
export type EngineLie = (typeof engineLies)[number]

export interface EngineFaults {
  /** Share of calls that go wrong, in any of the ways there are. */
  share: number
  /** Nothing answers. */
  isHung: boolean
  losesEvents: boolean
  /** Answers come up to this much later than their effect. */
  slowMs: number
  lies: EngineLie | undefined
  /** Commands of this probe fail. */
  failingProbe: ProbeCommand | undefined
}

/** What the probes of pods run. */
export type ProbeCommand = 'check' | 'alive'

/** Tells what an agent asked for, before it happens. */
export interface EngineWatcher {
  starts(node: string, id: string): void
  /** `what` it does to a container. */
  ends(node: string, container: ContainerState): void
}

/** A node's container engine: outlives its agent. */
export class SimEngine {
  readonly node: string
  readonly runtime: HollowRuntime
  readonly faults: EngineFaults = {
    share: 0,
    isHung: false,
    losesEvents: false,
    slowMs: 0,
    lies: undefined,
    failingProbe: undefined,
  }
  /** Something went wrong with a call: probes that run commands fail with it. */
  hasFailed = false
  /** Liveness probes fail, or did not long ago: containers may be ended to be started again. */
  mayRestartUntilMs = 0
  /** Lies may be acted upon until then. */
  believedUntilMs = 0
  readonly #clock: Clock
  readonly #random: Random
  #believedEnded: string | undefined
  #oldList: readonly ContainerState[] = []
  readonly #watcher: EngineWatcher

  constructor(node: string, clock: Clock, { random, watcher }: { readonly random: Random; readonly watcher: EngineWatcher }) {
    this.node = node
    this.#clock = clock
    this.#random = random
    this.#watcher = watcher
    this.runtime = new HollowRuntime(clock, {
      script: ({ image }) => {
        if (image.startsWith(crashingImage)) return { exitAfterMs: 500, exitCode: 1 }
        if (image.startsWith(taskImage)) return { exitAfterMs: 3000, exitCode: 0 }
        return { onTerm: image.includes('slow') ? 4000 : 300 }
      },
      registry: (ref) => (ref.startsWith(missingImage) ? { error: `no such image: ${ref}`, isMissing: true } : { ref }),
      exec: (_container, [command], image) => ({ exitCode: this.#isFailing(command, image) ? 1 : 0 }),
      faults: (call) => this.#fault(call),
      pullMs: 1500,
    })
  }

  /** What there is, asked past all faults. */
  async states(): Promise<readonly ContainerState[]> {
    const { options } = this.runtime
    // Faults are asked for when a call begins, so that nobody else's call falls into this gap.
    this.runtime.options = { ...options, faults: () => undefined }
    const states = this.runtime.list({ signal: new AbortController().signal })
    this.runtime.options = options
    return await states
  }

  /** The sandbox that a container was made for. */
  sandboxOf(id: string): string | undefined {
    return this.runtime.spec(id).sandboxId
  }

  /** Somebody removes a container behind everybody's back. */
  async vanish(id: string): Promise<void> {
    const { options } = this.runtime
    this.runtime.options = { ...options, faults: () => undefined }
    const gone = this.runtime.remove(id, { signal: new AbortController().signal })
    this.runtime.options = options
    await gone
  }

  /** The engine as a process reaches it. */
  for(process: SimProcess): Runtime {
    const { runtime } = this
    // As Runtime demands: every call has a deadline of its own, whoever forgets to abort it.
    const call = <O extends AbortOptions, T>(opts: O, work: (inner: AbortOptions) => Promise<T>, ms = callMs): Promise<T> =>
      withDeadline({ clock: process.clock, ms, signal: opts.signal, what: 'the engine' }, (signal) =>
        process.call(signal, async () => {
          const result = await work({ signal })
          if (this.faults.slowMs > 0) await sleep(process.clock, this.faults.slowMs * this.#random.next(), signal)
          return result
        }),
      )
    return {
      info: (opts) => call(opts, (inner) => this.#answering(inner, () => runtime.info(inner))),
      list: (opts) => call(opts, async (inner) => this.#told(await runtime.list(inner))),
      listPod: (uid, opts) =>
        call(opts, async (inner) => this.#told(await runtime.listPod(uid, inner)).filter((one) => one.identity.podUid === uid)),
      state: (id, opts) => call(opts, (inner) => runtime.state(id, inner)),
      adopt: (spare, identity, opts) => call(opts, (inner) => runtime.adopt(spare, identity, inner)),
      create: (spec: ContainerSpec, opts) => call(opts, (inner) => runtime.create(spec, inner)),
      start: (id, opts) =>
        call(opts, async (inner) => {
          await runtime.start(id, inner)
          this.#watcher.starts(this.node, id)
        }),
      stop: (id, graceMs, opts) => call(opts, (inner) => this.#stop(id, graceMs, inner), graceMs + callMs),
      remove: (id, opts) =>
        call(opts, async (inner) => {
          await this.#tellEnd(id)
          await runtime.remove(id, inner)
        }),
      events: (opts) => this.#events(process, opts),
      image: (ref, opts) => call(opts, (inner) => runtime.image(ref, inner)),
      images: (opts) => call(opts, (inner) => this.#answering(inner, () => runtime.images(inner))),
      pull: (ref, auth, opts) => call(opts, (inner) => runtime.pull(ref, auth, inner), pullMs),
      importImage: (tag, tar, config, opts) => call(opts, (inner) => runtime.importImage(tag, tar, config, inner)),
      logs: (id, options, opts) => runtime.logs(id, options, opts),
      exec: (id, options, input, opts) => runtime.exec(id, options, input, opts),
    }
  }

  /** From now on, or not any more. */
  async lie(how: EngineFaults['lies']): Promise<void> {
    this.#believedEnded = undefined
    if (how === 'isOld') this.#oldList = await this.states()
    this.faults.lies = how
  }

  /** Whether the agent may act upon lies. It has no other source of what runs. */
  get isBelieved(): boolean {
    return this.#clock.monotonicMs() < this.believedUntilMs
  }

  get mayRestart(): boolean {
    return this.#clock.monotonicMs() < this.mayRestartUntilMs
  }

  #told(states: readonly ContainerState[]): readonly ContainerState[] {
    const { lies } = this.faults
    if (lies === undefined) return states
    this.hasFailed = true
    if (lies === 'isOld') return this.#oldList
    if (lies === 'saysEnded') return states.map((state) => (this.#saysEnded(state) ? ended(state) : state))
    const left = Math.floor(this.#random.next() * 2 * states.length)
    return states.filter((_, index) => index !== left)
  }

  /** The same one for as long as it lies, a sandbox or not. */
  #saysEnded({ id, status }: ContainerState): boolean {
    if (status !== 'running') return false
    if (this.#believedEnded === undefined && this.#random.next() < 0.4) this.#believedEnded = id
    return id === this.#believedEnded
  }

  #isFailing(command: string | undefined, image: string): boolean {
    return command === this.faults.failingProbe || (command === 'check' && image.startsWith(sickImage))
  }

  async #stop(id: string, graceMs: number, opts: AbortOptions): Promise<void> {
    await this.#tellEnd(id)
    await this.runtime.stop(id, graceMs, opts)
  }

  async *#events(process: SimProcess, opts: AbortOptions): AsyncGenerator<ContainerEvent, void, void> {
    for await (const event of this.runtime.events(opts)) {
      await process.hear(async () => undefined)
      if (!this.faults.losesEvents) yield event
    }
  }

  async #tellEnd(id: string): Promise<void> {
    const state = (await this.states()).find((one) => one.id === id)
    if (state?.status === 'running') this.#watcher.ends(this.node, state)
  }

  async #answering<T>({ signal }: AbortOptions, work: () => Promise<T>): Promise<T> {
    if (!this.faults.isHung) return await work()
    await aborted(signal)
    throw signal.reason
  }

  #fault(call: Call): ReturnType<Faults> {
    const isFine = !this.faults.isHung && (this.faults.share === 0 || this.#random.next() >= this.faults.share)
    if (isFine) return undefined
    this.hasFailed = true
    if (this.faults.isHung) return 'hangs'
    // A command that alone does not end is its own fault, and the pod's.
    if (call === 'exec') return 'fails'
    const kinds = ['fails', 'answerLost', 'fails', 'answerLost', 'hangs', 'hangsAfterEffect'] as const
    return kinds[Math.floor(this.#random.next() * kinds.length)]
  }
}

const ended = (state: ContainerState): ContainerState => ({
  ...state,
  ...{ status: 'exited', exitCode: 137, finishedMs: state.startedMs, pid: undefined },
})
