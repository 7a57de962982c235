import { isAbort, sleep } from '../../lib/async.ts'
import type { Random } from '../../lib/random.ts'
import type { Slots } from '../../lib/slots.ts'
import type { ProbeTarget } from '../pods/deps.ts'
import type { Probe } from '../pods/pod-types.ts'
import { type CheckDeps, check } from './check.ts'
import { afterCheck, firstDelayMs, freshState, type ProbeState, periodMsOf } from './probe-state.ts'

export type ProbeType = 'startup' | 'liveness' | 'readiness'

export interface ProberOptions extends CheckDeps {
  readonly random: Random
  readonly slots: Slots
  /** When this agent began, by the monotonic clock. */
  readonly sinceMs: number
  /** A result has turned. */
  changed(): void
  failed(message: string): void
}

/** Nobody else starts containers: one that has run for longer was there before this agent. */
const adoptedMs = 2000

const titles: Readonly<Record<ProbeType, string>> = { startup: 'Startup', liveness: 'Liveness', readiness: 'Readiness' }

/** The probes of one container: startup first, then liveness and readiness beside each other. */
export class ContainerProber {
  readonly #options: ProberOptions
  readonly #startedMs: number
  readonly #states: Record<ProbeType, ProbeState>
  readonly #isAdopted: boolean
  target: ProbeTarget

  constructor(target: ProbeTarget, options: ProberOptions) {
    this.target = target
    this.#options = options
    this.#startedMs = options.clock.monotonicMs() - target.ranMs
    // Before its first check was due it cannot have been ready.
    const wasThere = target.ranMs > adoptedMs || this.#startedMs < options.sinceMs
    this.#isAdopted = wasThere && target.ranMs > (target.probes.readiness?.initialDelaySeconds ?? 0) * 1000
    const known: ProbeState = { result: 'success', run: 0, lastWasOk: true }
    this.#states = {
      startup: target.was.isStarted ? known : freshState,
      liveness: freshState,
      readiness: target.was.isReady ? known : freshState,
    }
  }

  get isStarted(): boolean {
    return this.target.probes.startup === undefined || this.#states.startup.result === 'success'
  }

  get isReady(): boolean {
    return this.isStarted && (this.target.probes.readiness === undefined || this.#states.readiness.result === 'success')
  }

  /** It may have been ready all the time: only its own answer says otherwise. */
  get isAwaited(): boolean {
    const hasAnswered = this.target.probes.readiness === undefined || this.#states.readiness.result !== 'unknown'
    return this.#isAdopted && this.isStarted && !hasAnswered
  }

  get unhealthy(): { readonly message: string; readonly graceMs: number | undefined } | undefined {
    for (const type of ['startup', 'liveness'] as const) {
      if (this.#states[type].result !== 'failure') continue
      const seconds = this.target.probes[type]?.terminationGracePeriodSeconds
      const message = `Container ${this.target.container} failed ${type} probe, will be restarted`
      return { message, graceMs: seconds === undefined ? undefined : seconds * 1000 }
    }
    return undefined
  }

  /** Probes until aborted, or until the container is found in need of a restart. */
  async run(signal: AbortSignal): Promise<void> {
    const { startup, liveness, readiness } = this.target.probes
    if (startup !== undefined && !this.isStarted) await this.#loop('startup', startup, signal)
    if (!this.isStarted) return
    await Promise.all([
      liveness === undefined ? undefined : this.#loop('liveness', liveness, signal),
      readiness === undefined ? undefined : this.#loop('readiness', readiness, signal),
    ])
  }

  async #loop(type: ProbeType, probe: Probe, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options
    const ranMs = clock.monotonicMs() - this.#startedMs
    await sleep(
      clock,
      firstDelayMs(probe, type === 'startup' ? this.target.ranMs : ranMs, this.#isFresh(ranMs, probe) ? 0 : random.next()),
      signal,
    )
    for (;;) {
      if (type === 'readiness' || !this.target.isStopping) await this.#checkOnce(type, probe, signal)
      const { result } = this.#states[type]
      if (type === 'startup' && result !== 'unknown') return
      if (type === 'liveness' && result === 'failure') return
      await sleep(clock, periodMsOf(probe), signal)
    }
  }

  /** After a startup probe the first readiness check follows at once. */
  #isFresh(ranMs: number, probe: Probe): boolean {
    return this.target.probes.startup !== undefined && this.target.ranMs <= periodMsOf(probe) && ranMs > 0
  }

  async #checkOnce(type: ProbeType, probe: Probe, signal: AbortSignal): Promise<void> {
    const { slots, changed, failed } = this.#options
    let outcome: { readonly isOk: boolean; readonly message: string }
    try {
      outcome = await slots.run({ signal }, () => check(this.#options, probe, this.target, { signal }))
    } catch (err) {
      if (isAbort(err, signal) || signal.aborted) throw err
      failed(`${titles[type]} probe errored: ${err instanceof Error ? err.message : String(err)}`)
      return
    }
    if (!outcome.isOk) failed(`${titles[type]} probe failed: ${outcome.message}`)
    const before = this.#states[type].result
    this.#states[type] = afterCheck(this.#states[type], outcome.isOk, probe)
    if (this.#states[type].result !== before) changed()
  }
}
