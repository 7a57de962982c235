import type { KindDef } from '../../api/kinds/define.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { expired, isExpired, unavailable } from '../../api/meta/status.ts'
import { type AbortOptions, Bell, LinkedAbort } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Metrics } from '../../lib/metrics.ts'
import type { Service } from '../../lib/service.ts'
import { type CacheMetrics, cacheMetrics } from './cache-metrics.ts'
import { CacheState } from './cache-state.ts'
import { WatchHub } from './cache-watchers.ts'
import { decodeObject } from './codec.ts'
import { compareWithStore, OtherHistory, pages } from './compare.ts'
import { incarnationKey } from './incarnation.ts'
import type { KeyedKind } from './keys.ts'
import { bucketOf } from './object-index.ts'
import { RevisionWaiters } from './revision-waiters.ts'
import { SharedRead } from './shared-read.ts'
import { type KeyValue, objectPrefix, rootPrefix, type Store, type StoreBatch, type StoreWatchOptions } from './store.ts'
import type { CacheBatch, CacheEvent, CacheWatchOptions, WatchCache } from './watch-cache.ts'

export interface WatchCacheOptions {
  readonly store: Store
  /** Kinds whose number of objects has a series of its own. Objects of other kinds are held as well. */
  readonly kinds: readonly KeyedKind[]
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Events kept per kind for watches that resume. */
  readonly historyPerKind?: number
  /** Events that may wait for a slow reader before it is cut off. */
  readonly bufferedEvents?: number
  /** At least how often idle readers hear how far the watch has come. */
  readonly progressMs?: number
  /** How often the whole cache is compared with the store. */
  readonly compareMs?: number
  readonly waitMs?: number
  /** How stored values are read; several caches of one process may share what they read. */
  readonly decode?: typeof decodeObject
  /** Called when the store turns out to have been wiped or restored. */
  readonly setBack?: () => void
  /** Waited for before each look at how far the store has come, so that more readers share it: one turn of the event loop. */
  readonly gather?: () => Promise<void>
}

/**
 * Lists the store once and follows it from there. `run` may end with an error (the store can't be reached); it is
 * then started again, and meanwhile the cache answers from what it has.
 */
export function createWatchCache(options: WatchCacheOptions): WatchCache & Service {
  return new StoreCache(options)
}

class StoreCache implements WatchCache, Service {
  readonly name = 'watch cache'
  readonly #options: Required<Omit<WatchCacheOptions, 'gather'>>
  readonly #log: Log
  readonly #metrics: CacheMetrics
  readonly #hub: WatchHub
  readonly #state: CacheState
  #isReady = false
  /** The next start lists, since the watch cannot go on from here. */
  #needsList = false
  /** What is known was found to be of another history. */
  #isOutlived = false
  /** Followed without a break since it was listed or compared. */
  #isSure = false
  #revision = 0
  /** Which history of the store this is; undefined before the first leader has named it. */
  #life: string | undefined
  /** The one that a leader has begun while we watched. */
  #announced: string | undefined
  readonly #waiters: RevisionWaiters
  #progressTimer: Disposable | undefined
  readonly #current: SharedRead<number>
  readonly #compareBell = new Bell()

  constructor(options: WatchCacheOptions) {
    this.#options = {
      historyPerKind: 10_000,
      bufferedEvents: 5_000,
      progressMs: 250,
      compareMs: 300_000,
      waitMs: 5_000,
      setBack: () => undefined,
      decode: decodeObject,
      ...options,
    }
    this.#log = options.log
    this.#waiters = new RevisionWaiters(options.clock)
    this.#metrics = cacheMetrics(options.metrics, options.kinds)
    const { historyPerKind, bufferedEvents } = this.#options
    this.#hub = new WatchHub({ historyPerKind, bufferedEvents, onCut: () => this.#metrics.cut.inc() })
    this.#state = new CacheState(options.log, this.#options.decode)
    // The revision that the answer was read at says how far the store has come, and the value in which history.
    this.#current = new SharedRead(async (opts) => {
      const before = this.#revision
      const { item, revision } = await options.store.get(incarnationKey, opts)
      const isOther = this.#life !== undefined && (item === undefined ? undefined : lifeOf(item)) !== this.#life
      if (revision >= before && !isOther) return revision
      this.#compareBell.ring()
      const what = isOther ? 'the store has another history than before' : `the store was at revision ${before} before`
      throw unavailable(`${what}, and is at revision ${revision}: it is being listed again`)
    }, options.gather)
  }

  get revision(): number {
    return this.#revision
  }

  async ready({ signal }: AbortOptions): Promise<void> {
    signal.throwIfAborted()
    if (!this.#isReady) await this.#waiters.wait(0, { signal, what: () => 'the first list' })
  }

  async waitFor(revision: number, { signal }: AbortOptions): Promise<void> {
    signal.throwIfAborted()
    if (this.#isReady && this.#revision >= revision) return
    const from = this.#revision
    const what = (): string => `the watch cache (at ${from}) to reach revision ${revision}`
    await this.#waiters.wait(revision, { signal, ms: this.#options.waitMs, what })
  }

  async waitForCurrent(opts: AbortOptions): Promise<void> {
    await this.waitFor(await this.#current.read(opts), opts)
  }

  async settled(opts: AbortOptions): Promise<void> {
    if (!this.#isSure) await this.waitForCurrent(opts)
  }

  get<O extends ApiObject>(kind: KindDef<O>, key: string): O | undefined {
    return this.#state.index.get(bucketOf(kind), key) as O | undefined // The bucket holds this kind only.
  }

  list<O extends ApiObject>(kind: KindDef<O>, namespace?: string): readonly O[] {
    return this.#state.index.list(bucketOf(kind), namespace) as readonly O[] // The bucket holds this kind only.
  }

  ownedBy(uid: string): readonly ApiObject[] {
    return this.#state.index.ownedBy(uid)
  }

  unreadable(kind: KeyedKind, key: string): { readonly modRevision: number; readonly message: string } | undefined {
    return this.#state.unreadable(bucketOf(kind), key)
  }

  watch<O extends ApiObject>(kind: KindDef<O>, options: AbortOptions & CacheWatchOptions): AsyncIterable<CacheBatch<O>> {
    const bucket = bucketOf(kind)
    const batches = this.#isReady ? this.#hub.watch(bucket, options, () => this.#revision) : this.#watch(bucket, options)
    return batches as AsyncIterable<CacheBatch<O>> // As in `list`.
  }

  async run(signal: AbortSignal): Promise<void> {
    const own = new AbortController()
    using both = new LinkedAbort(signal, own.signal)
    const stop = both.signal
    try {
      await Promise.all([this.#follow(stop), this.#compareOften(stop)].map((part) => part.finally(() => own.abort())))
    } catch (err) {
      if (!signal.aborted) throw err
    } finally {
      this.#isSure = false
      this.#progressTimer?.[Symbol.dispose]()
      this.#progressTimer = undefined
    }
  }

  async *#watch(bucket: string, options: AbortOptions & CacheWatchOptions): AsyncGenerator<CacheBatch, void, void> {
    await this.ready(options)
    yield* this.#hub.watch(bucket, options, () => this.#revision)
  }

  /** Follows the store from where it stands, after a list where that is not possible. */
  async #follow(signal: AbortSignal): Promise<void> {
    // Events can be lost without a sign when a watch is opened again (etcd 3.4): what is resumed is compared.
    if (this.#isReady && !this.#needsList) this.#compareBell.ring()
    for (;;) {
      if (!this.#isReady || this.#needsList) await this.#load(signal)
      try {
        for await (const batch of this.#options.store.watch(this.#fromHere(signal))) {
          this.#take(batch)
        }
        return // Only aborting ends a watch.
      } catch (err) {
        if (!isExpired(err)) throw err
        this.#needsList = true
      }
    }
  }

  #fromHere(signal: AbortSignal): StoreWatchOptions {
    return { prefix: rootPrefix, afterRevision: this.#revision, withPrevious: false, interest: this.#waiters, signal }
  }

  async #load(signal: AbortSignal): Promise<void> {
    const { store } = this.#options
    const listed = new Set<string>()
    const life = await this.#readLife(signal)
    let isOther = this.#isOutlived || (this.#life !== undefined && life !== this.#life)
    let revision = 0
    for await (const page of pages(store, { prefix: objectPrefix, signal })) {
      revision = page.revision
      if (isOther || revision < this.#revision) this.#startOver(revision, life)
      isOther = false
      for (const item of page.items) {
        listed.add(item.key)
        this.#state.put(item)
      }
    }
    for (const key of this.#state.keys()) if (!listed.has(key)) this.#state.remove(key, revision)
    this.#life = life
    this.#isOutlived = false
    const isFirst = !this.#isReady
    this.#isReady = true
    this.#isSure = !signal.aborted
    this.#needsList = false
    this.#metrics.lists.inc({ reason: isFirst ? 'start' : 'expired' })
    this.#hub.reset(revision, 'the past that the watch needs was compacted away: list again')
    this.#log.info('watch cache listed', { objects: listed.size, revision })
    this.#advance(revision)
  }

  /** The store was wiped or restored, or its data exchanged: what is known is of another history. */
  #startOver(revision: number, life: string | undefined): void {
    const what = revision < this.#revision ? 'the revision of the store went back' : 'the store has another history than before'
    this.#log.error(what, { from: this.#revision, to: revision })
    this.#state.clear()
    this.#revision = 0
    // Whoever leads by the other history must not go on; who has begun this one may.
    if (life === undefined || life !== this.#announced) this.#options.setBack()
  }

  async #readLife(signal: AbortSignal): Promise<string | undefined> {
    const { item } = await this.#options.store.get(incarnationKey, { signal })
    return item === undefined ? undefined : lifeOf(item)
  }

  #noteLife(item: KeyValue): void {
    const life = lifeOf(item)
    this.#life ??= life
    if (life === this.#life) return
    this.#announced = life
    throw expired('the store has begun another life: list again')
  }

  #take(batch: StoreBatch): void {
    const byBucket = new Map<string, CacheEvent[]>()
    for (const event of batch.events) {
      const key = event.type === 'put' ? event.current.key : event.key
      if (event.type === 'put' && key === incarnationKey) this.#noteLife(event.current)
      if (!key.startsWith(objectPrefix)) continue
      const change = event.type === 'put' ? this.#state.put(event.current) : this.#state.remove(key, event.modRevision)
      if (change === undefined) continue
      const events = byBucket.get(change.bucket) ?? []
      byBucket.set(change.bucket, events)
      events.push(change.event)
    }
    this.#hub.publish(byBucket, batch.revision)
    if (batch.reconnected === true) {
      this.#isSure = false
      this.#compareBell.ring()
    }
    this.#advance(batch.revision)
  }

  #advance(revision: number): void {
    this.#revision = Math.max(this.#revision, revision)
    this.#waiters.reached(this.#revision)
    this.#progressTimer ??= this.#options.clock.after(this.#options.progressMs, () => {
      this.#progressTimer = undefined
      this.#hub.progress(this.#revision)
      this.#metrics.observe({ state: this.#state, watchers: this.#hub.size, revision: this.#revision })
    })
  }

  /** The revisions of two histories can be alike, and what they stand for not. */
  async #checkLife(signal: AbortSignal): Promise<void> {
    if (this.#life !== undefined && (await this.#readLife(signal)) !== this.#life)
      throw new OtherHistory('the store has another history than before')
  }

  /** Law 5: a watch is never trusted alone. */
  async #compareOften(signal: AbortSignal): Promise<void> {
    const { store, clock, compareMs } = this.#options
    for (;;) {
      await this.#compareBell.wait({ signal, clock, timeoutMs: compareMs })
      if (!this.#isReady || this.#needsList) continue
      const waitFor = (revision: number): Promise<void> => this.waitFor(revision, { signal })
      try {
        await this.#checkLife(signal)
        const differing = await compareWithStore({
          store,
          state: this.#state,
          hub: this.#hub,
          revision: this.#revision,
          waitFor,
          signal,
        })
        this.#metrics.compares.inc({ result: differing.length === 0 ? 'same' : 'different' })
        await this.#repair(differing, signal)
        this.#isSure = !signal.aborted
      } catch (err) {
        if (signal.aborted) throw err
        this.#metrics.compares.inc({ result: 'failed' })
        this.#log.warn('comparing the watch cache with the store failed', { err })
        if (!(err instanceof OtherHistory)) continue
        this.#needsList = true
        this.#isOutlived = true
        throw err // The watch is of the other history too: everything is started again.
      }
    }
  }

  async #repair(keys: readonly string[], signal: AbortSignal): Promise<void> {
    const buckets = new Set<string>()
    for (const key of keys) {
      const { item, revision } = await this.#options.store.get(key, { signal })
      const change = item === undefined ? this.#state.remove(key, revision) : this.#state.put(item)
      if (change === undefined) continue
      buckets.add(change.bucket)
      this.#log.error('the watch of the store had lost a change', { key, modRevision: item?.modRevision })
      this.#metrics.repairs.inc()
    }
    // Readers missed the change as well, so they list again.
    for (const bucket of buckets) this.#hub.reset(this.#revision, 'changes were lost: list again', bucket)
  }
}

const lifeOf = ({ value }: KeyValue): string => Buffer.from(value).toString('utf8')
