import type { ApiObject } from '../../api/meta/object-meta.ts'
import { expired } from '../../api/meta/status.ts'
import { type AbortOptions, Bell } from '../../lib/async.ts'
import type { CacheBatch, CacheEvent } from './watch-cache.ts'

/** One reader of one kind's events, with its bounded buffer. */
class Watcher {
  readonly namespace: string | undefined
  readonly #limit: number
  readonly #bell = new Bell()
  #events: CacheEvent[] = []
  /** Everything up to here was given, or waits in `#events`. */
  #revision: number
  #given: number
  #failure: Error | undefined

  constructor({ namespace, afterRevision, limit }: { namespace: string | undefined; afterRevision: number; limit: number }) {
    this.namespace = namespace
    this.#limit = limit
    this.#revision = afterRevision
    this.#given = afterRevision
  }

  /** Returns false when the reader is too far behind and was cut off. */
  push(events: readonly CacheEvent[], revision: number): boolean {
    if (this.#failure !== undefined || revision <= this.#revision) return true
    // A revision is given as a whole, so that one which is larger than the buffer still gets through an empty one.
    if (this.#events.length > 0 && this.#events.length + events.length > this.#limit) {
      this.fail(expired(`the watch fell more than ${this.#limit} events behind: list again`))
      return false
    }
    for (const event of events) if (event.revision > this.#revision) this.#events.push(event)
    this.#revision = revision
    this.#bell.ring()
    return true
  }

  fail(error: Error): void {
    this.#failure ??= error
    this.#events = []
    this.#bell.ring()
  }

  async *read({ signal }: AbortOptions): AsyncGenerator<CacheBatch, void, void> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#failure !== undefined) throw this.#failure
      if (this.#revision === this.#given) {
        await this.#bell.wait({ signal })
        continue
      }
      const events = this.#events
      this.#events = []
      this.#given = this.#revision
      yield { events, revision: this.#given }
    }
  }
}

/** The recent events of one kind. */
class KindHistory {
  readonly #limit: number
  #events: CacheEvent[] = []
  /** Events at or below this revision are no longer all there. */
  #floor: number

  constructor(limit: number, floor: number) {
    this.#limit = limit
    this.#floor = floor
  }

  get floor(): number {
    return this.#floor
  }

  add(event: CacheEvent): void {
    this.#events.push(event)
    // In lumps of a tenth, so that dropping costs nothing per event.
    if (this.#events.length > this.#limit * 1.1) {
      const dropped = this.#events.splice(0, this.#events.length - this.#limit)
      this.#floor = dropped.at(-1)?.revision ?? this.#floor
    }
  }

  after(revision: number): readonly CacheEvent[] {
    let from = this.#events.length
    while (from > 0 && (this.#events[from - 1]?.revision ?? 0) > revision) from--
    return this.#events.slice(from)
  }

  reset(floor: number): void {
    this.#events = []
    this.#floor = floor
  }
}

interface KindWatchers {
  readonly history: KindHistory
  readonly all: Set<Watcher>
  readonly byNamespace: Map<string, Set<Watcher>>
}

export interface WatchHubOptions {
  readonly historyPerKind: number
  readonly bufferedEvents: number
  onCut(): void
}

/** Hands events to whom they concern: readers are found by kind and namespace, never by looping over all. */
export class WatchHub {
  readonly #options: WatchHubOptions
  readonly #kinds = new Map<string, KindWatchers>()
  /** Floor of kinds that had no event yet. */
  #baseFloor = 0
  #size = 0

  constructor(options: WatchHubOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#size
  }

  /** Whole revisions, in order. */
  publish(byBucket: ReadonlyMap<string, readonly CacheEvent[]>, revision: number): void {
    for (const [bucket, events] of byBucket) {
      const kind = this.#kind(bucket)
      for (const event of events) kind.history.add(event)
      this.#push(kind.all, events, revision)
      if (kind.byNamespace.size === 0) continue
      for (const [namespace, own] of Map.groupBy(events, (event) => event.object.metadata.namespace ?? '')) {
        this.#push(kind.byNamespace.get(namespace), own, revision)
      }
    }
  }

  /** Tells every reader how far the watch has come. */
  progress(revision: number): void {
    for (const kind of this.#kinds.values()) {
      this.#push(kind.all, [], revision)
      for (const watchers of kind.byNamespace.values()) this.#push(watchers, [], revision)
    }
  }

  /** Deletions of one kind after `revision`; undefined when the history does not reach back that far. */
  after(bucket: string, revision: number): readonly CacheEvent[] | undefined {
    const { history } = this.#kind(bucket)
    return revision < history.floor ? undefined : history.after(revision)
  }

  /** The events of one kind (all kinds without `bucket`) up to `floor` were missed: readers must list again. */
  reset(floor: number, why: string, bucket?: string): void {
    const concerned = bucket === undefined ? [...this.#kinds.values()] : [this.#kind(bucket)]
    if (bucket === undefined) this.#baseFloor = floor
    for (const kind of concerned) {
      kind.history.reset(floor)
      for (const watcher of [...kind.all, ...[...kind.byNamespace.values()].flatMap((set) => [...set])]) {
        watcher.fail(expired(why))
      }
    }
  }

  async *watch(
    bucket: string,
    { afterRevision, namespace, signal }: AbortOptions & { afterRevision: number; namespace: string | undefined },
    currentRevision: number,
  ): AsyncGenerator<CacheBatch, void, void> {
    const kind = this.#kind(bucket)
    if (afterRevision < kind.history.floor) {
      throw expired(`too old resource version: ${afterRevision} (${kind.history.floor})`)
    }
    const missed = kind.history.after(afterRevision).filter((event) => isIn(event.object, namespace))
    const watcher = new Watcher({
      namespace,
      afterRevision: Math.max(afterRevision, currentRevision),
      limit: this.#options.bufferedEvents,
    })
    const group = groupFor(kind, namespace)
    group.add(watcher)
    this.#size++
    try {
      if (currentRevision > afterRevision) yield { events: missed, revision: currentRevision }
      yield* watcher.read({ signal })
    } finally {
      this.#size--
      group.delete(watcher)
      if (namespace !== undefined && group.size === 0) kind.byNamespace.delete(namespace)
    }
  }

  #push(watchers: ReadonlySet<Watcher> | undefined, events: readonly CacheEvent[], revision: number): void {
    for (const watcher of watchers ?? []) if (!watcher.push(events, revision)) this.#options.onCut()
  }

  #kind(bucket: string): KindWatchers {
    const known = this.#kinds.get(bucket)
    if (known !== undefined) return known
    const history = new KindHistory(this.#options.historyPerKind, this.#baseFloor)
    const kind: KindWatchers = { history, all: new Set(), byNamespace: new Map() }
    this.#kinds.set(bucket, kind)
    return kind
  }
}

function groupFor(kind: KindWatchers, namespace: string | undefined): Set<Watcher> {
  if (namespace === undefined) return kind.all
  const group = kind.byNamespace.get(namespace) ?? new Set()
  kind.byNamespace.set(namespace, group)
  return group
}

const isIn = (object: ApiObject, namespace: string | undefined): boolean =>
  namespace === undefined || object.metadata.namespace === namespace
