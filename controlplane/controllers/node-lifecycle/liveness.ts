/** A sign of life that differs each time that the node gives one. */
type Sign = string

interface Seen {
  readonly sign: Sign
  readonly atMs: number
}

/**
 * For how long each node has been silent, by our own clock since we last saw it change (never by times that others
 * wrote). After a gap of ours, in which we could not have seen anything, everybody starts afresh (law 11).
 */
export class Liveness {
  readonly #seen = new Map<string, Seen>()
  readonly #gapMs: number
  #lookedAtMs: number | undefined

  /** `gapMs`: time between two looks from which on nodes could have been missed. */
  constructor(gapMs: number) {
    this.#gapMs = gapMs
  }

  /** Takes in what can be seen now. Gives true when there was a gap before it. */
  look(signs: ReadonlyMap<string, Sign>, nowMs: number): boolean {
    const isGap = this.#lookedAtMs === undefined || nowMs - this.#lookedAtMs > this.#gapMs
    this.#lookedAtMs = nowMs
    for (const node of this.#seen.keys()) if (!signs.has(node)) this.#seen.delete(node)
    for (const [node, sign] of signs) {
      if (isGap || this.#seen.get(node)?.sign !== sign) this.#seen.set(node, { sign, atMs: nowMs })
    }
    return isGap
  }

  /** A look failed: the next one comes after a gap, however soon. */
  missed(): void {
    this.#lookedAtMs = undefined
  }

  /** Nobody moved for so long, and now somebody does: the fault was not theirs. Everybody starts afresh. */
  forgive(nowMs: number): void {
    for (const [node, { sign }] of this.#seen) this.#seen.set(node, { sign, atMs: nowMs })
  }

  silentForMs(node: string, nowMs: number): number {
    const seen = this.#seen.get(node)
    return seen === undefined ? 0 : nowMs - seen.atMs
  }

  /** For how long not a single node has given a sign. */
  allSilentForMs(nowMs: number): number {
    return this.#seen.size === 0 ? 0 : Math.min(...[...this.#seen.values()].map(({ atMs }) => nowMs - atMs))
  }
}
