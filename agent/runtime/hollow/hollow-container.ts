import type { Clock } from '../../../lib/clock.ts'
import { type ContainerIdentity, type ContainerSpec, type ContainerState, RuntimeError } from '../runtime.ts'
import type { Behaviour } from './script.ts'

export interface HollowContainerOptions {
  readonly id: string
  readonly name: string
  readonly spec: ContainerSpec
  readonly imageId: string
  readonly behaviour: Behaviour
  readonly pid: number
  readonly clock: Clock
  changed(isBeginning: boolean): void
}

const sigkillCode = 137
const sigtermCode = 143

/** One pretended container: created, running, exited. */
export class HollowContainer {
  readonly id: string
  readonly spec: ContainerSpec
  readonly behaviour: Behaviour
  name: string
  identity: ContainerIdentity
  readonly #options: HollowContainerOptions
  readonly #createdMs: number
  #status: ContainerState['status'] = 'created'
  #startedMs: number | undefined
  #finishedMs: number | undefined
  #exitCode: number | undefined
  #isOomKilled = false
  #error: string | undefined
  #pid: number | undefined
  readonly #timers: Disposable[] = []
  readonly #waiting: (() => void)[] = []

  constructor(options: HollowContainerOptions) {
    this.#options = options
    this.id = options.id
    this.name = options.name
    this.spec = options.spec
    this.identity = options.spec.identity
    this.behaviour = options.behaviour
    this.#createdMs = options.clock.now()
  }

  state(): ContainerState {
    return {
      id: this.id,
      identity: this.identity,
      status: this.#status,
      image: this.spec.image,
      imageId: this.#options.imageId,
      createdMs: this.#createdMs,
      startedMs: this.#startedMs,
      finishedMs: this.#finishedMs,
      exitCode: this.#exitCode,
      oomKilled: this.#isOomKilled,
      error: this.#error,
      pid: this.#pid,
      annotations: this.spec.annotations,
    }
  }

  adopt(name: string, identity: ContainerIdentity): void {
    this.name = name
    this.identity = identity
  }

  start(): void {
    if (this.#status === 'running') return
    if (this.#status === 'exited') throw new RuntimeError('Conflict', `container ${this.name} has ended`)
    const { startError, exitAfterMs, exitCode = 0, isOomKilled = false } = this.behaviour
    if (startError !== undefined) {
      this.#error = startError
      this.#exitCode = 127
      this.#options.changed(false)
      throw new RuntimeError('CannotRun', startError)
    }
    this.#status = 'running'
    this.#startedMs = this.#options.clock.now()
    this.#pid = this.#options.pid
    if (exitAfterMs !== undefined) {
      this.#after(exitAfterMs, () => {
        this.#isOomKilled = isOomKilled
        this.end(exitCode)
      })
    }
    this.#options.changed(true)
  }

  /** Resolves when it has ended. */
  async stop(graceMs: number): Promise<void> {
    if (this.#status !== 'running') return
    const { onTerm = 0, termExitCode = sigtermCode } = this.behaviour
    if (graceMs <= 0) this.kill()
    else if (onTerm === 0) this.end(termExitCode)
    else {
      if (onTerm !== 'ignores') this.#after(onTerm, () => this.end(termExitCode))
      this.#after(graceMs, () => this.kill())
    }
    await this.ended()
  }

  kill(): void {
    this.end(sigkillCode)
  }

  end(exitCode: number): void {
    if (this.endSilently(exitCode)) this.#options.changed(false)
  }

  endSilently(exitCode: number): boolean {
    if (this.#status !== 'running') return false
    this.#status = 'exited'
    this.#exitCode = exitCode
    this.#finishedMs = this.#options.clock.now()
    this.#pid = undefined
    for (const timer of this.#timers.splice(0)) timer[Symbol.dispose]()
    for (const wake of this.#waiting.splice(0)) wake()
    return true
  }

  ended(): Promise<void> {
    if (this.#status !== 'running') return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #after(ms: number, run: () => void): void {
    this.#timers.push(this.#options.clock.after(ms, run))
  }
}
