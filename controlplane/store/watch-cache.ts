import type { KindDef } from '../../api/kinds/define.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { AbortOptions } from '../../lib/async.ts'

/** One change of one object. `previous` is the state before, so that a reader with a selector sees what left it. */
export interface CacheEvent<O extends ApiObject = ApiObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  /** DELETED: the last state, with the deletion's revision as its resourceVersion. */
  readonly object: O
  readonly previous: O | undefined
  readonly revision: number
}

/** What some readers want of a kind. It is asked once per event for all that gave the same `id`. */
export interface Selection {
  /** The same for readers who want the same. */
  readonly id: string
  matches(object: ApiObject): boolean
  /** A field that must have this value, by which objects are looked up; what `matches` asks beside it is asked as well. */
  readonly exact?: { readonly field: string; readonly value: string; read(object: ApiObject): string }
}

/** Whole revisions only. `revision`: everything up to it has been given; events may be empty. */
export interface CacheBatch<O extends ApiObject = ApiObject> {
  readonly events: readonly CacheEvent<O>[]
  readonly revision: number
}

export interface CacheWatchOptions {
  readonly afterRevision: number
  readonly namespace?: string | undefined
  readonly selection?: Selection | undefined
  readonly rarely?: boolean
}

/**
 * All objects of the store, decoded once, deep-frozen, one copy per process, fed by one ordered watch of the whole
 * object prefix. Reads never wait, except in `waitFor`. `ready` until the first list is in, and again never.
 */
export interface WatchCache {
  /** Everything up to this revision is in. */
  readonly revision: number
  /** Resolves when the first list is in. */
  ready(opts: AbortOptions): Promise<void>
  /** Resolves when the cache has reached `revision`; rejects with Timeout after the deadline given at construction. */
  waitFor(revision: number, opts: AbortOptions): Promise<void>
  /** Resolves when the cache has reached what etcd has committed by now: for consistent reads. */
  waitForCurrent(opts: AbortOptions): Promise<void>
  /**
   * To be waited for before a write is planned by what is cached. Nothing while the store is followed; after its watch
   * has broken, and until cache and store were compared, the store is asked: it may have been put back meanwhile, and
   * the revisions of two histories can be alike, so that a write's conditions say nothing.
   */
  settled(opts: AbortOptions): Promise<void>
  /** `key` is `namespace/name`, or `name`. */
  get<O extends ApiObject>(kind: KindDef<O>, key: string): O | undefined
  /** In order of their keys. */
  list<O extends ApiObject>(kind: KindDef<O>, namespace?: string): readonly O[]
  /** Says what is wrong with a stored value that could not be decoded, and that `get` and `list` therefore leave out. */
  unreadable(
    kind: { readonly group: string; readonly plural: string },
    key: string,
  ): { readonly modRevision: number; readonly message: string } | undefined
  /** Objects of any kind with an owner reference to `uid`. */
  ownedBy(uid: string): readonly ApiObject[]
  /**
   * Events of one kind after `afterRevision`. Throws Expired when the history no longer reaches back that far, or when
   * the reader fell behind its bounded buffer. With a selection, an object that comes to match is ADDED, one that no
   * longer does is DELETED. `rarely`: batches without events, which say how far the watch has come, are given every few
   * seconds only.
   */
  watch<O extends ApiObject>(kind: KindDef<O>, options: AbortOptions & CacheWatchOptions): AsyncIterable<CacheBatch<O>>
}
