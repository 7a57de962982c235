import { expired } from '../../api/meta/status.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { CacheBatch, CacheEvent, CacheWatchOptions } from './watch-cache.ts'
import { Watcher } from './watcher.ts'
import { selected, WatcherGroups } from './watcher-groups.ts'

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
  readonly readers: WatcherGroups
}

/** Of so many calls of `progress`, one is for those who asked for few. */
const rarelyEvery = 16

export interface WatchHubOptions {
  readonly historyPerKind: number
  readonly bufferedEvents: number
  onCut(): void
}

/** Hands events to whom they concern; see `WatcherGroups`. */
export class WatchHub {
  readonly #options: WatchHubOptions
  readonly #kinds = new Map<string, KindWatchers>()
  /** Floor of kinds that had no event yet. */
  #baseFloor = 0
  #size = 0
  #progresses = 0

  constructor(options: WatchHubOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#size
  }

  /** Whole revisions, in order. */
  publish(byBucket: ReadonlyMap<string, readonly CacheEvent[]>, revision: number): void {
    for (const [bucket, events] of byBucket) {
      const { history, readers } = this.#kind(bucket)
      for (const event of events) history.add(event)
      readers.spread(events, (watchers, own) => {
        for (const watcher of watchers) this.#push(watcher, own, revision)
      })
    }
  }

  /** Tells readers how far the watch has come. */
  progress(revision: number): void {
    const isForAll = this.#progresses++ % rarelyEvery === 0
    for (const { readers } of this.#kinds.values()) {
      for (const watcher of readers.all()) if (isForAll || !watcher.rarely) this.#push(watcher, [], revision)
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
    for (const { history, readers } of concerned) {
      history.reset(floor)
      for (const watcher of [...readers.all()]) watcher.fail(expired(why))
    }
  }

  async *watch(
    bucket: string,
    { afterRevision, namespace, selection, rarely = false, signal }: AbortOptions & CacheWatchOptions,
    current: () => number,
  ): AsyncGenerator<CacheBatch, void, void> {
    const { history, readers } = this.#kind(bucket)
    if (afterRevision < history.floor) {
      throw expired(`too old resource version: ${afterRevision} (${history.floor})`)
    }
    const currentRevision = current()
    const missed = selected(history.after(afterRevision), namespace, selection)
    const watcher = new Watcher({
      afterRevision: Math.max(afterRevision, currentRevision),
      limit: this.#options.bufferedEvents,
      rarely,
    })
    using _ = readers.add(watcher, namespace, selection)
    this.#size++
    try {
      if (currentRevision > afterRevision) yield { events: missed, revision: currentRevision }
      // Here and not in a generator of its own: with a thousand readers each step between them is felt.
      for (;;) {
        signal.throwIfAborted()
        const batch = watcher.take()
        if (batch === undefined) await watcher.wait({ signal })
        else yield batch
      }
    } finally {
      this.#size--
    }
  }

  #push(watcher: Watcher, events: readonly CacheEvent[], revision: number): void {
    if (!watcher.push(events, revision)) this.#options.onCut()
  }

  #kind(bucket: string): KindWatchers {
    const known = this.#kinds.get(bucket)
    if (known !== undefined) return known
    const kind: KindWatchers = {
      history: new KindHistory(this.#options.historyPerKind, this.#baseFloor),
      readers: new WatcherGroups(),
    }
    this.#kinds.set(bucket, kind)
    return kind
  }
}
