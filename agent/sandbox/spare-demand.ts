import type { Clock } from '../../lib/clock.ts'

export interface SpareDemandOptions {
  /** Kept ready however few pods come; 0: none at all. */
  readonly least: number
  /** Kept ready at most. */
  readonly most: number
  readonly clock: Clock
}

/** So long after its last pod a group still says how many are worth keeping. */
const heldMs = 5 * 60_000

/**
 * How many sandboxes are worth keeping ready: as many as would lately have been taken before there was time to make
 * others. Pods that come while there are fewer than wanted are one group.
 */
export class SpareDemand {
  readonly #options: SpareDemandOptions
  #group = 0
  #largest = { pods: 0, lastMs: Number.NEGATIVE_INFINITY }

  constructor(options: SpareDemandOptions) {
    this.#options = options
  }

  /** A pod has come that could use one. */
  asked(): void {
    this.#group++
    if (this.#group < this.#largest.pods && this.leftMs !== undefined) return
    this.#largest = { pods: this.#group, lastMs: this.#options.clock.monotonicMs() }
  }

  /** There are as many as are wanted: what comes from now on is another group. */
  refilled(): void {
    this.#group = 0
  }

  get size(): number {
    const { least, most } = this.#options
    if (least === 0) return 0
    return this.leftMs === undefined ? least : Math.max(least, Math.min(this.#largest.pods, most))
  }

  /** How long the largest group still counts; undefined when it does no longer. */
  get leftMs(): number | undefined {
    const leftMs = this.#largest.lastMs + heldMs - this.#options.clock.monotonicMs()
    return leftMs > 0 ? leftMs : undefined
  }
}
