import { type AbortOptions, sleep } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { type Random, uuid } from '../../lib/random.ts'
import { type Leadership, rootPrefix, type Store } from './store.ts'

/** How far a store and the log that carries it have come. */
export interface StorePosition {
  readonly revision: number
  /** Of the newest entry in the members' log. It is not part of a snapshot: after a restore it begins anew. */
  readonly logIndex: number
}

export interface IncarnationOptions {
  readonly store: Store
  readonly fence: Leadership['fence']
  /** Absent where a store cannot be restored, as in memory. */
  readonly position?: ((opts: AbortOptions) => Promise<StorePosition>) | undefined
  /** The highest revision that was remembered outside the store when the election began. */
  readonly remembered?: number | undefined
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** One life of the store, from its making or a restore to the next restore. */
interface Life {
  /** Grows with each restore, so that epochs do. */
  readonly number: number
  /** Tells lives apart that were counted the same, as after two restores of one snapshot. */
  readonly id: string
  /**
   * Revision less log index when this life began. Each change of the store takes an entry of the log, so the difference
   * never grows; a restore, which keeps the revision and begins the log anew, makes it jump.
   */
  readonly gap: number | undefined
}

/** What lies here tells one history of the store from another, also where their revisions are alike. */
export const incarnationKey = `${rootPrefix}incarnation`
const key = incarnationKey
/** Revisions stay below it, and epochs below 2^53. */
const epochsPerLife = 2 ** 40
/** A node that claims more is not believed, or it could use the numbers up. */
const maxLift = 10
/** The two figures of a difference are not read in one instant. A restore makes it jump by far more. */
const gapSlack = 8
const lagPauseMs = 100

/**
 * What tells agents that the store was restored: its incarnation, and an epoch that grows with elections and restores.
 * Kept in the store, and written only on condition that we lead.
 */
export class Incarnation {
  readonly #options: IncarnationOptions
  #life: Life

  constructor(options: IncarnationOptions, life: Life) {
    this.#options = options
    this.#life = life
  }

  /** Whoever has won an election opens it before anything else. Rejects when the leadership is gone already. */
  static async open(options: IncarnationOptions, opts: AbortOptions): Promise<Incarnation> {
    const { store, fence, remembered = 0, log } = options
    const { life, modRevision, revision } = await readLife(store, opts)
    const gap = await gapOf(options, revision, opts)
    const wentBack = fence.createRevision <= remembered
    const isRestored = wentBack || (life !== undefined && hasJumped(life, gap))
    if (life !== undefined && !isRestored) return new Incarnation(options, life)
    if (isRestored) log.warn('the store was restored: nodes stop nothing that it does not list', { revision, remembered, gap })
    const number = isRestored ? (life?.number ?? 0) + 1 : 0
    return new Incarnation(options, await begin(options, { number, gap, modRevision }, opts))
  }

  get id(): string {
    return this.#life.id
  }

  get epoch(): number {
    return this.#life.number * epochsPerLife + this.#options.fence.createRevision
  }

  /** An agent has obeyed the epoch `above`, which nobody can have had in this life of the store: another one begins. */
  async lift(above: bigint, opts: AbortOptions): Promise<void> {
    if (above < BigInt(this.epoch)) return
    const number = Number(above / BigInt(epochsPerLife)) + 1
    if (number > this.#life.number + maxLift) throw new Error(`no control plane can have had the epoch ${above}`)
    const { modRevision } = await readLife(this.#options.store, opts)
    this.#life = await begin(this.#options, { number, gap: this.#life.gap, modRevision }, opts)
    this.#options.log.warn('the epoch was lifted above one that a node has obeyed', { above, epoch: this.epoch })
  }
}

async function begin(
  { store, fence, random }: IncarnationOptions,
  { number, gap, modRevision }: { number: number; gap: number | undefined; modRevision: number },
  opts: AbortOptions,
): Promise<Life> {
  const life: Life = { number, id: `${number}-${uuid(random).slice(0, 8)}`, gap }
  const value = new TextEncoder().encode(JSON.stringify(life))
  const { committed } = await store.commit({ conditions: [fence, { key, modRevision }], writes: [{ put: key, value }] }, opts)
  if (!committed) throw new Error('the leadership was lost before the incarnation of the store could be written')
  return life
}

const hasJumped = (life: Life, gap: number | undefined): boolean =>
  life.gap !== undefined && gap !== undefined && gap > life.gap + gapSlack

/** Measured at a member that is not behind the state in which our record was read. */
async function gapOf({ position, clock }: IncarnationOptions, revision: number, opts: AbortOptions): Promise<number | undefined> {
  if (position === undefined) return undefined
  for (;;) {
    const at = await position(opts)
    if (at.revision >= revision) return at.revision - at.logIndex
    await sleep(clock, lagPauseMs, opts.signal)
  }
}

async function readLife(
  store: Store,
  opts: AbortOptions,
): Promise<{ readonly life: Life | undefined; readonly modRevision: number; readonly revision: number }> {
  const { item, revision } = await store.get(key, opts)
  if (item === undefined) return { life: undefined, modRevision: 0, revision }
  return { life: parseLife(item.value), modRevision: item.modRevision, revision }
}

function parseLife(value: Uint8Array): Life {
  const { number, id, gap } = JSON.parse(new TextDecoder().decode(value)) as Partial<Life>
  if (typeof number !== 'number' || !Number.isInteger(number) || typeof id !== 'string')
    throw new Error(`the value of "${key}" is damaged`)
  return { number, id, gap: typeof gap === 'number' ? gap : undefined }
}
