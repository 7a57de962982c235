import { unavailable } from '../../api/meta/status.ts'
import type { StorePosition } from '../../controlplane/store/incarnation.ts'
import type { MemoryStore } from '../../controlplane/store/memory.ts'
import {
  electionPrefix,
  type KeyValue,
  type Leadership,
  type Store,
  type StoreBatch,
  type Transaction,
} from '../../controlplane/store/store.ts'
import { type AbortOptions, sleep } from '../../lib/async.ts'
import type { Random } from '../../lib/random.ts'
import type { SimProcess } from './process.ts'

export const leaderKey = `${electionPrefix}controlplane`

/** How often a watch that stands looks whether it may go on. */
const standsMs = 250

export interface StoreFaults {
  /** Share of calls that fail; half of those that write have had their effect. */
  errorShare: number
  /** Watches deliver this much later. */
  watchLagMs: number
  /** Watches deliver nothing: what is known stays as it was, though reads and writes go on. */
  stands?: boolean
  /** Grows with each time that all watches break, together with what was under way on them. */
  breaks?: number
}

export interface SeenCommit {
  readonly process: SimProcess
  readonly transaction: Transaction
}

/** Of the store itself, for everybody. */
export interface StoreState {
  /** Nobody reaches it. */
  isDown: boolean
  /** Revision less index of the log, which a restore makes jump. */
  gap: number
  /** Times that it was put back: a lease of before, which it does not know, has nothing to do with its keys. */
  restores: number
}

interface Options {
  readonly store: MemoryStore
  readonly state: StoreState
  readonly process: SimProcess
  readonly faults: StoreFaults
  /** After each commit that took effect, before its writer hears of it. */
  readonly committed: (commit: SeenCommit) => void
}

/** A process's connection to the store that all share. */
export class ProcessStore implements Store {
  readonly #store: MemoryStore
  readonly #state: StoreState
  readonly #process: SimProcess
  readonly #random: Random
  readonly #committed: (commit: SeenCommit) => void
  readonly faults: StoreFaults
  #leads: { readonly createRevision: number; readonly restores: number; readonly lost: AbortController } | undefined

  constructor({ store, state, process, faults, committed }: Options) {
    this.#store = store
    this.#state = state
    this.#process = process
    this.#random = process.random
    this.#committed = committed
    this.faults = faults
  }

  get(key: string, opts: AbortOptions): ReturnType<Store['get']> {
    return this.#read(opts, () => this.#store.get(key, opts))
  }

  list(options: Parameters<Store['list']>[0]): ReturnType<Store['list']> {
    return this.#read(options, () => this.#store.list(options))
  }

  commit(transaction: Transaction, opts: AbortOptions): ReturnType<Store['commit']> {
    return this.#process.call(opts.signal, async () => {
      this.#reach()
      const isFailing = this.#isFailing()
      if (isFailing && this.#random.next() < 0.5) throw unavailable('the store cannot be reached')
      const result = await this.#store.commit(transaction, opts)
      if (result.committed) this.#committed({ process: this.#process, transaction })
      if (isFailing) throw unavailable('the store was lost while it answered')
      return result
    })
  }

  async *watch(options: Parameters<Store['watch']>[0]): AsyncGenerator<StoreBatch, void, void> {
    const { signal } = options
    await this.#process.call(signal, async () => this.#reach())
    const { breaks } = this.faults
    for await (const batch of this.#store.watch(options)) {
      await this.#process.hear(async () => undefined)
      if (this.faults.watchLagMs > 0) await sleep(this.#process.clock, this.faults.watchLagMs * this.#random.next(), signal)
      while (this.faults.stands === true) await sleep(this.#process.clock, standsMs, signal)
      signal.throwIfAborted()
      if (this.faults.breaks !== breaks || this.#isFailing()) throw unavailable('the watch broke')
      yield batch
    }
  }

  async campaign(options: Parameters<Store['campaign']>[0]): Promise<Leadership> {
    const { key, value, signal } = options
    for (;;) {
      const createRevision = await this.#process.call(signal, () => this.#tryToLead(key, value, signal))
      if (createRevision !== undefined) return this.#leadership(key, createRevision)
      await sleep(this.#process.clock, 200 + 300 * this.#random.next(), signal)
    }
  }

  async compact(revision: number, opts: AbortOptions): Promise<void> {
    await this.#process.call(opts.signal, () => this.#store.compact(revision, opts))
  }

  /** The lease ran out: its key goes at once; its holder, when it can, hears of it a while later. */
  loseLease(afterMs: number): void {
    const leads = this.#leads
    if (leads === undefined) return
    this.#leads = undefined
    if (leads.restores === this.#state.restores) void this.#drop(leaderKey, leads.createRevision)
    this.#process.clock.after(afterMs, () => leads.lost.abort(new Error('the lease ran out')))
  }

  /** How far the store and its log have come. */
  position(opts: AbortOptions): Promise<StorePosition> {
    return this.#read(opts, async () => ({ revision: this.#store.revision, logIndex: this.#store.revision - this.#state.gap }))
  }

  /** The store was set back. A lease that it knows goes on; any other one is gone, as its holder hears a while later. */
  setBack(leads: KeyValue | undefined, noticedAfterMs: number): void {
    if (this.#leads === undefined) return
    if (this.#leads.createRevision === leads?.createRevision) {
      this.#leads = { ...this.#leads, restores: this.#state.restores }
      return
    }
    const { lost } = this.#leads
    this.#leads = undefined
    this.#process.clock.after(noticedAfterMs, () => lost.abort(new Error('the lease is gone')))
  }

  get epoch(): number | undefined {
    return this.#leads?.createRevision
  }

  async #tryToLead(key: string, value: string, signal: AbortSignal): Promise<number | undefined> {
    this.#reach()
    const put = { put: key, value: new TextEncoder().encode(value) }
    const result = await this.#store.commit({ conditions: [{ key, modRevision: 0 }], writes: [put] }, { signal })
    if (!result.committed) return undefined
    // At once, not when the process hears of it: it may die before, and its lease has to run out all the same.
    this.#leads = { createRevision: result.revision, restores: this.#state.restores, lost: new AbortController() }
    return result.revision
  }

  #leadership(key: string, createRevision: number): Leadership {
    const lost = this.#leads?.createRevision === createRevision ? this.#leads.lost : new AbortController()
    if (this.#leads?.createRevision !== createRevision) lost.abort(new Error('the lease ran out'))
    return {
      fence: { key, createRevision },
      lost: lost.signal,
      resign: async () => {
        lost.abort(new Error('resigned'))
        // Whoever dies before this has got through still holds the lease.
        await this.#process.call(new AbortController().signal, () => this.#drop(key, createRevision))
        if (this.#leads?.createRevision === createRevision) this.#leads = undefined
      },
    }
  }

  /** Only the key of that election. */
  async #drop(key: string, createRevision: number): Promise<void> {
    const { signal } = new AbortController()
    const conditions = [
      { key, createRevision },
      { key, modRevision: createRevision },
    ]
    await this.#store.commit({ conditions, writes: [{ delete: key }] }, { signal })
  }

  async #read<T>({ signal }: AbortOptions, work: () => Promise<T>): Promise<T> {
    return await this.#process.call(signal, async () => {
      this.#reach()
      if (this.#isFailing()) throw unavailable('the store cannot be reached')
      return await work()
    })
  }

  #reach(): void {
    if (this.#state.isDown) throw unavailable('the store cannot be reached')
  }

  #isFailing(): boolean {
    return this.faults.errorShare > 0 && this.#random.next() < this.faults.errorShare
  }
}
