import type { AbortOptions } from '../../lib/async.ts'

/** One key as stored. Revisions are etcd's: one counter for the whole store, so they order everything (law 3). */
export interface KeyValue {
  readonly key: string
  readonly value: Uint8Array
  readonly createRevision: number
  readonly modRevision: number
}

/** What must hold for a transaction to be committed. A revision of 0 means that the key must be absent. */
export type Condition =
  | { readonly key: string; readonly modRevision: number }
  /** The fence (law 4): the leader's key still has the revision at which it was elected. */
  | { readonly key: string; readonly createRevision: number }

export type Write = { readonly put: string; readonly value: Uint8Array; readonly leaseId?: string } | { readonly delete: string }

export interface Transaction {
  readonly conditions: readonly Condition[]
  readonly writes: readonly Write[]
}

export type CommitResult =
  | { readonly committed: true; readonly revision: number }
  /** A condition failed, nothing was written. `current` holds every key that a condition names, as it was found. */
  | { readonly committed: false; readonly revision: number; readonly current: ReadonlyMap<string, KeyValue | undefined> }

export interface ListOptions extends AbortOptions {
  readonly prefix: string
  /** Only keys after this one. */
  readonly after?: string
  readonly limit?: number
  /** The past state to read. A compacted one fails with Expired. Absent: the newest (linearizable). */
  readonly revision?: number
  /** Leaves the values empty. */
  readonly keysOnly?: boolean
}

export interface ListResult {
  readonly items: readonly KeyValue[]
  /** Revision of the state that was read. */
  readonly revision: number
  /** Keys behind the last one given. */
  readonly remaining: number
}

export type StoreEvent =
  | { readonly type: 'put'; readonly current: KeyValue; readonly previous: KeyValue | undefined }
  | { readonly type: 'delete'; readonly key: string; readonly modRevision: number; readonly previous: KeyValue | undefined }

/**
 * All events of one or more whole revisions, in order; never a part of a revision. `revision` is how far the watch has
 * come: no event at or below it is still to come. Events may be empty (progress).
 */
export interface StoreBatch {
  readonly events: readonly StoreEvent[]
  readonly revision: number
  /** The first batch after the watch had to be opened again. */
  readonly reconnected?: boolean
}

export interface StoreWatchOptions extends AbortOptions {
  readonly prefix: string
  readonly afterRevision: number
  /** Whoever knows the state before has no use for `previous`, which makes each event twice as large. Default: true. */
  readonly withPrevious?: boolean
  /** Who waits to hear how far the watch has come; while nobody does it may say so rarely. Default: somebody always. */
  readonly interest?: ProgressInterest
}

/** Those who wait to hear how far a watch has come. */
export interface ProgressInterest {
  readonly isAny: boolean
  /** Called whenever somebody begins to wait, until disposed of or another one is to be called. */
  onWait(call: () => void): Disposable
}

/** A campaign that was won. */
export interface Leadership {
  /** The fence for every write of this leader. */
  readonly fence: { readonly key: string; readonly createRevision: number }
  /** Aborts when the leadership may be lost: at the latest before another can win. */
  readonly lost: AbortSignal
  /** Steps down, so that another can win at once. */
  resign(): Promise<void>
}

/**
 * etcd as Skiff needs it. Implementations: `etcd.ts` (real) and `memory.ts` (tests, simulation); `conformance.ts` is the
 * suite both pass. Errors are StatusErrors: Expired for a compacted revision, ServiceUnavailable when etcd can't be
 * reached or is read-only (`NOSPACE`), Timeout after the deadline. No event is lost or repeated while a watch lives.
 */
export interface Store {
  get(key: string, opts: AbortOptions): Promise<{ readonly item: KeyValue | undefined; readonly revision: number }>
  list(options: ListOptions): Promise<ListResult>
  /**
   * All or nothing. An outcome that was lost on the way is found out before this returns (law 9): sent again, which the
   * conditions make harmless, and compared with what stands there. Every write must therefore be covered by a condition.
   */
  commit(transaction: Transaction, opts: AbortOptions): Promise<CommitResult>
  /**
   * Events with a revision above `afterRevision`, in order, across reconnects, until aborted. Throws Expired when that
   * revision was compacted away, or when the store has been set back behind it: list again.
   */
  watch(options: StoreWatchOptions): AsyncIterable<StoreBatch>
  /** Waits until the key is ours. It holds `value`, for people who look, and vanishes `ttlMs` after its holder has died. */
  campaign(options: AbortOptions & { readonly key: string; readonly value: string; readonly ttlMs: number }): Promise<Leadership>
  /** Forgets the past before `revision`. */
  compact(revision: number, opts: AbortOptions): Promise<void>
}

/** Where everything lies. The watch cache follows all of it, so that it knows every revision at once. */
export const rootPrefix = '/skiff/'
export const objectPrefix = '/skiff/objects/'
export const allocationPrefix = '/skiff/allocations/'
export const electionPrefix = '/skiff/elections/'
