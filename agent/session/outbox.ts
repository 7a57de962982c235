import type { PodStatusReport } from '../../api/proto/agent.ts'
import { type AbortOptions, Bell } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import { LatestByKey } from '../../lib/latest.ts'

type Unsent = Omit<PodStatusReport, 'sequence'>

/** How long a status waits that the next one will most likely overwrite. */
const holdMs = 150

/** Statuses of pods on their way: the newest overwrites the unsent one, and each is sent again until its receipt came. */
export class StatusOutbox {
  readonly #clock: Clock
  readonly #unsent = new LatestByKey<Unsent>()
  readonly #unreceived = new Map<string, { readonly report: PodStatusReport; readonly sentMs: number }>()
  /** The last word on each pod that was stored. Bounded by the pods there are, as `repeat` leaves out the others. */
  readonly #received = new Map<string, Unsent>()
  /** Not to be sent yet. */
  readonly #held = new Map<string, Unsent>()
  #letGo: Disposable | undefined
  #sequence = 0n

  constructor(clock: Clock) {
    this.#clock = clock
  }

  set(report: Unsent): void {
    this.#received.delete(report.uid)
    this.#held.delete(report.uid)
    this.#unsent.set(report.uid, report)
  }

  /**
   * As `set`, but a moment later: of a pod that is being started the statuses follow each other closely, and storing
   * each would take time from the start itself.
   */
  setSoon(report: Unsent): void {
    this.#received.delete(report.uid)
    this.#held.set(report.uid, report)
    this.#letGo ??= this.#clock.after(holdMs, () => {
      this.#letGo = undefined
      for (const [uid, held] of this.#held) this.#unsent.set(uid, held)
      this.#held.clear()
    })
  }

  /** Waits for statuses to send, and takes them as sent. */
  async take(opts: AbortOptions): Promise<readonly PodStatusReport[]> {
    const taken = await this.#unsent.take(opts)
    return [...taken.values()].map((unsent) => {
      this.#sequence += 1n
      const report = { ...unsent, sequence: this.#sequence }
      this.#unreceived.set(report.uid, { report, sentMs: this.#clock.monotonicMs() })
      return report
    })
  }

  received(uid: string, sequence: bigint): void {
    const sent = this.#unreceived.get(uid)
    if (sent?.report.sequence !== sequence) return
    this.#unreceived.delete(uid)
    const { sequence: _, ...report } = sent.report
    this.#received.set(uid, report)
  }

  /**
   * Says again what was stored before: somebody else may have written over it, as the control plane does when a node is
   * silent. Forgets pods that are not `wanted` any more.
   */
  repeat(isWanted: (uid: string) => boolean): void {
    for (const [uid, report] of this.#received) {
      if (!isWanted(uid)) this.#received.delete(uid)
      else if (!this.#unreceived.has(uid)) this.#unsent.putBack(uid, report)
    }
  }

  /** Sends again what has had no receipt for `olderThanMs`; with 0 (a new session) all of it. */
  sendAgain(olderThanMs: number): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [uid, { report, sentMs }] of this.#unreceived) if (nowMs - sentMs >= olderThanMs) this.#unsent.putBack(uid, report)
  }

  get waiting(): number {
    return this.#unreceived.size + this.#unsent.size + this.#held.size
  }
}

/** A bounded list that forgets its oldest when full: for events, which are worth less than memory. */
export class DropOldest<T> {
  readonly #items: T[] = []
  readonly #limit: number
  readonly #bell = new Bell()
  dropped = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  push(item: T): void {
    this.#items.push(item)
    if (this.#items.length > this.#limit) {
      this.#items.shift()
      this.dropped++
    }
    this.#bell.ring()
  }

  /** Waits until there is something to take. */
  async filled(opts: AbortOptions): Promise<void> {
    while (this.#items.length === 0) await this.#bell.wait(opts)
  }

  take(): readonly T[] {
    return this.#items.splice(0)
  }
}
