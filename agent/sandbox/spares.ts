import { type AbortOptions, Bell, sleep } from '../../lib/async.ts'
import { Backoff } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import { type ContainerState, isSpareUid } from '../runtime/runtime.ts'
import { SpareDemand } from './spare-demand.ts'

export interface SparesOptions {
  /** How many are kept ready; 0: none at all. */
  readonly size: number
  /** As many at most when pods come in groups. */
  readonly most: number
  /** Whether pods are being worked on: no spare is made meanwhile. */
  isBusy(): boolean
  /** All containers. */
  list(opts: AbortOptions): Promise<readonly ContainerState[]>
  /** Makes one, connected; undefined when there is no room for one. */
  make(opts: AbortOptions): Promise<ContainerState | undefined>
  /** Connects one that was found. False: it is of no use. */
  keep(state: ContainerState, opts: AbortOptions): Promise<boolean>
  discard(state: ContainerState, opts: AbortOptions): Promise<void>
  /** What was lent out and is not there, or belongs to a pod by now. */
  settle(spare: ContainerState, now: ContainerState | undefined): void
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Pods come in groups: a spare is made when for so long none was worked on. */
const quietMs = 250
const busyMs = 200

/**
 * Sandboxes that are ready before a pod needs one. Nothing of this is on disk: what there is, the engine says. A spare
 * is given out once only by this process, and taken by a rename from its own name, so once only by all.
 */
export class Spares {
  readonly #options: SparesOptions
  readonly #ready: ContainerState[] = []
  /** Given out, and being taken now. Container ids. */
  readonly #out = new Set<string>()
  /** Given out, with an unknown end. By container id. */
  readonly #unsure = new Map<string, ContainerState>()
  readonly #bell = new Bell()
  readonly #backoff: Backoff
  readonly #demand: SpareDemand
  #mustLook = true

  constructor(options: SparesOptions) {
    this.#options = options
    this.#demand = new SpareDemand({ ...options, least: options.size })
    this.#backoff = new Backoff({ baseMs: 1_000, maxMs: 60_000, ...options })
  }

  /** A pod has come that will take one if there is one. */
  asked(): void {
    this.#demand.asked()
    this.#bell.ring()
  }

  /** A sandbox to be taken. The caller says how that ended, by one of the next three. */
  take(): ContainerState | undefined {
    const spare = this.#ready.shift()
    if (spare === undefined) return undefined
    this.#out.add(spare.id)
    return spare
  }

  taken({ id }: ContainerState): void {
    this.#out.delete(id)
    this.#bell.ring()
  }

  /** It was surely not taken. Another may have been made in its place: that one is too much then. */
  giveBack(spare: ContainerState): void {
    this.#out.delete(spare.id)
    this.#ready.push(spare)
    this.#bell.ring()
  }

  /** Nobody knows whether it was taken, or where it is: the engine is asked. */
  lost(spare: ContainerState): void {
    this.#out.delete(spare.id)
    this.#unsure.set(spare.id, spare)
    this.#mustLook = true
    this.#bell.ring()
  }

  /** Asks the engine itself when its list, which may be old by now, says something else than is known here. */
  noticed(all: readonly ContainerState[]): void {
    const spares = all.filter(({ identity }) => isSpareUid(identity.podUid))
    const good = new Set(spares.filter(isGood).map(({ id }) => id))
    const known = new Set(this.#ready.map(({ id }) => id))
    const isAsKnown =
      [...known].every((id) => good.has(id)) && spares.every(({ id }) => this.#out.has(id) || (known.has(id) && good.has(id)))
    if (isAsKnown) return
    this.#mustLook = true
    this.#bell.ring()
  }

  /** Keeps them ready until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    while (!signal.aborted) {
      try {
        if (this.#mustLook) await this.#look(signal)
        await this.#trim(signal)
        while (await this.#makeOne(signal));
        this.#backoff.forget('spares')
      } catch (err) {
        if (signal.aborted) return
        const waitMs = this.#backoff.next('spares')
        log.warn('no sandbox could be prepared', { err, againInMs: waitMs })
        this.#mustLook = true
        await sleep(clock, waitMs, signal).catch(() => undefined) // Aborted: the loop ends.
        continue
      }
      const { leftMs: timeoutMs } = this.#demand
      await this.#bell.wait({ signal, clock, ...(timeoutMs !== undefined && { timeoutMs }) }).catch(() => undefined) // Aborted: the loop ends.
    }
  }

  /** True when there may be more to make. */
  async #makeOne(signal: AbortSignal): Promise<boolean> {
    const { isBusy, make, clock } = this.#options
    if (this.#mustLook) return false
    if (this.#ready.length >= this.#demand.size) {
      this.#demand.refilled()
      return false
    }
    while (isBusy()) await sleep(clock, busyMs, signal)
    await sleep(clock, quietMs, signal)
    if (isBusy()) return true
    const spare = await make({ signal })
    if (spare === undefined) return false
    this.#ready.push(spare)
    return true
  }

  async #trim(signal: AbortSignal): Promise<void> {
    const { discard } = this.#options
    while (this.#ready.length > this.#demand.size) {
      const surplus = this.#ready.pop()
      if (surplus !== undefined) await discard(surplus, { signal })
    }
  }

  /** Finds the spares of an agent before this one, and what became of those whose end is unknown. */
  async #look(signal: AbortSignal): Promise<void> {
    const { list, settle } = this.#options
    this.#mustLook = false
    const unsure = [...this.#unsure.values()]
    // The answer is older than what is taken meanwhile.
    const notToTouch = new Set([...this.#out, ...this.#ready.map(({ id }) => id)])
    const states = await list({ signal })
    const isThere = (id: string): boolean => this.#ready.some((one) => one.id === id)
    for (const spare of unsure) {
      const now = states.find(({ id }) => id === spare.id)
      if (now === undefined || !isSpareUid(now.identity.podUid)) settle(spare, now)
      this.#unsure.delete(spare.id)
    }
    for (const state of states.filter(({ identity }) => isSpareUid(identity.podUid)))
      if (!notToTouch.has(state.id) || (isThere(state.id) && !isGood(state))) await this.#sort(state, signal)
    for (const id of notToTouch) if (isThere(id) && !states.some((state) => state.id === id)) this.#drop(id, settle)
  }

  async #sort(state: ContainerState, signal: AbortSignal): Promise<void> {
    const { keep, discard } = this.#options
    const at = this.#ready.findIndex(({ id }) => id === state.id)
    if (at >= 0) this.#ready.splice(at, 1)
    const isWanted = isGood(state) && this.#ready.length < this.#demand.size
    if (isWanted && (await keep(state, { signal }))) this.#ready.push(state)
    else await discard(state, { signal })
  }

  /** Somebody has removed it. */
  #drop(id: string, settle: SparesOptions['settle']): void {
    const at = this.#ready.findIndex((one) => one.id === id)
    const [spare] = at < 0 ? [] : this.#ready.splice(at, 1)
    if (spare !== undefined) settle(spare, undefined)
  }
}

/** One under another number was given up, or renamed by somebody. */
const isGood = ({ status, identity }: ContainerState): boolean => status === 'running' && identity.attempt === 0
