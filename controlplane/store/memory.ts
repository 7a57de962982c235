import { expired, unavailable } from '../../api/meta/status.ts'
import { must } from '../../lib/assert.ts'
import { type AbortOptions, Bell } from '../../lib/async.ts'
import { checkTransaction } from './limits.ts'
import type {
  CommitResult,
  Condition,
  KeyValue,
  Leadership,
  ListOptions,
  ListResult,
  Store,
  StoreBatch,
  StoreEvent,
  Transaction,
} from './store.ts'

/** The events of one revision. */
type Revision = readonly StoreEvent[]

export interface MemoryStoreOptions {
  /** Revisions kept before the oldest are forgotten by themselves. */
  readonly maxHistory?: number
}

/** All there is at a time. */
export interface MemorySnapshot {
  readonly items: readonly KeyValue[]
  readonly revision: number
}

/**
 * etcd's twin in memory: the same promises, checked by the same suite, without time or I/O. For tests and simulation.
 * A leader dies when `loseLeadership` says so; nothing expires by itself.
 */
export class MemoryStore implements Store {
  readonly #maxHistory: number
  readonly #byKey = new Map<string, KeyValue>()
  /** Revision `#compacted + 1 + i` at index i; the newest is `#revision`. */
  #history: Revision[] = []
  #compacted = 1
  #revision = 1
  /** Grows whenever watches lose their connection. */
  #connections = 0
  readonly #watchers = new Set<Bell>()
  readonly #leaders = new Map<string, { readonly lost: AbortController; readonly createRevision: number }>()

  constructor({ maxHistory = 100_000 }: MemoryStoreOptions = {}) {
    this.#maxHistory = maxHistory
  }

  get revision(): number {
    return this.#revision
  }

  async get(key: string, { signal }: AbortOptions): Promise<{ item: KeyValue | undefined; revision: number }> {
    signal.throwIfAborted()
    return { item: this.#byKey.get(key), revision: this.#revision }
  }

  async list({ prefix, after, limit, revision, keysOnly = false, signal }: ListOptions): Promise<ListResult> {
    signal.throwIfAborted()
    const state = this.#stateAt(revision ?? this.#revision)
    const found = [...state.values()]
      .filter((item) => item.key.startsWith(prefix) && (after === undefined || item.key > after))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
    const page = limit === undefined || limit <= 0 ? found : found.slice(0, limit)
    const items = keysOnly ? page.map((item) => ({ ...item, value: new Uint8Array() })) : page
    return { items, revision: revision ?? this.#revision, remaining: found.length - items.length }
  }

  async commit(transaction: Transaction, { signal }: AbortOptions): Promise<CommitResult> {
    signal.throwIfAborted()
    checkTransaction(transaction)
    if (!transaction.conditions.every((condition) => this.#holds(condition))) {
      const current = new Map(transaction.conditions.map(({ key }) => [key, this.#byKey.get(key)]))
      return { committed: false, revision: this.#revision, current }
    }
    this.#write(transaction.writes)
    return { committed: true, revision: this.#revision }
  }

  async *watch({
    prefix,
    afterRevision,
    signal,
  }: AbortOptions & { prefix: string; afterRevision: number }): AsyncGenerator<StoreBatch, void, void> {
    const bell = new Bell()
    this.#watchers.add(bell)
    const connections = this.#connections
    try {
      for (let seen = afterRevision; ; ) {
        signal.throwIfAborted()
        if (connections !== this.#connections) throw unavailable('the connection was lost')
        if (seen < this.#compacted) throw compactedAway(seen, this.#compacted)
        if (seen >= this.#revision) {
          await bell.wait({ signal })
          continue
        }
        const events = this.#history
          .slice(seen - this.#compacted)
          .flat()
          .filter((event) => keyOf(event).startsWith(prefix))
        seen = this.#revision
        yield { events, revision: seen }
      }
    } finally {
      this.#watchers.delete(bell)
    }
  }

  async campaign({ key, value, signal }: AbortOptions & { key: string; value: string; ttlMs: number }): Promise<Leadership> {
    for (;;) {
      const won = await this.commit(
        { conditions: [{ key, modRevision: 0 }], writes: [{ put: key, value: new TextEncoder().encode(value) }] },
        { signal },
      )
      if (won.committed) return this.#leadership(key, won.revision)
      for await (const batch of this.watch({ prefix: key, afterRevision: won.revision, signal })) {
        if (batch.events.some((event) => event.type === 'delete' && event.key === key)) break
      }
    }
  }

  async compact(revision: number, { signal }: AbortOptions): Promise<void> {
    signal.throwIfAborted()
    if (revision > this.#revision) throw new RangeError(`revision ${revision} lies in the future`)
    this.#forget(revision)
  }

  /** All watches end with an error, as when etcd's process does. */
  disconnect(): void {
    this.#connections++
    for (const bell of this.#watchers) bell.ring()
  }

  snapshot(): MemorySnapshot {
    return { items: [...this.#byKey.values()], revision: this.#revision }
  }

  /** Puts back what there was, without its past, as etcd does. A watch from a later revision waits for it, as etcd's. */
  restore({ items, revision }: MemorySnapshot): void {
    this.#byKey.clear()
    for (const item of items) this.#byKey.set(item.key, item)
    this.#history = []
    this.#revision = revision
    this.#compacted = revision
    this.#dropLeaders()
    this.disconnect()
  }

  /** The leader of `key` dies: its key goes, and it hears of it unless `isDeaf` (as a paused process would not). */
  loseLeadership(key: string, { isDeaf = false }: { isDeaf?: boolean } = {}): void {
    if (isDeaf) this.#leaders.delete(key)
    if (this.#byKey.has(key)) this.#write([{ delete: key }])
  }

  #leadership(key: string, createRevision: number): Leadership {
    const lost = new AbortController()
    this.#leaders.set(key, { lost, createRevision })
    return {
      fence: { key, createRevision },
      lost: lost.signal,
      resign: async () => {
        lost.abort(new Error(`resigned from "${key}"`))
        if (this.#byKey.get(key)?.createRevision === createRevision) this.#write([{ delete: key }])
      },
    }
  }

  #holds(condition: Condition): boolean {
    const item = this.#byKey.get(condition.key)
    if ('modRevision' in condition) return (item?.modRevision ?? 0) === condition.modRevision
    return (item?.createRevision ?? 0) === condition.createRevision
  }

  #write(writes: Transaction['writes']): void {
    const revision = this.#revision + 1
    const events: StoreEvent[] = []
    for (const write of writes) {
      const key = 'put' in write ? write.put : write.delete
      const previous = this.#byKey.get(key)
      if ('put' in write) {
        const createRevision = previous?.createRevision ?? revision
        const current: KeyValue = { key, value: write.value, createRevision, modRevision: revision }
        this.#byKey.set(key, current)
        events.push({ type: 'put', current, previous })
      } else if (previous !== undefined) {
        this.#byKey.delete(key)
        events.push({ type: 'delete', key, modRevision: revision, previous })
      }
    }
    if (events.length === 0) return // Deleting what is absent is no revision, as in etcd.
    this.#revision = revision
    this.#history.push(events)
    if (this.#history.length > this.#maxHistory * 1.1) this.#forget(this.#revision - this.#maxHistory)
    this.#dropLeaders()
    for (const bell of this.#watchers) bell.ring()
  }

  #dropLeaders(): void {
    for (const [key, { lost, createRevision }] of this.#leaders) {
      if (this.#byKey.get(key)?.createRevision === createRevision) continue
      this.#leaders.delete(key)
      lost.abort(new Error(`leadership of "${key}" was lost`))
    }
  }

  #forget(revision: number): void {
    if (revision <= this.#compacted) return
    this.#history = this.#history.slice(revision - this.#compacted)
    this.#compacted = revision
  }

  /** The state as of `revision`, found by undoing what came after it. */
  #stateAt(revision: number): ReadonlyMap<string, KeyValue> {
    if (revision === this.#revision) return this.#byKey
    if (revision < this.#compacted) throw compactedAway(revision, this.#compacted)
    if (revision > this.#revision) throw new RangeError(`revision ${revision} lies in the future`)
    const state = new Map(this.#byKey)
    for (let at = this.#revision; at > revision; at--) {
      for (const event of must(this.#history[at - this.#compacted - 1], 'history has no gaps')) {
        if (event.previous === undefined) state.delete(keyOf(event))
        else state.set(keyOf(event), event.previous)
      }
    }
    return state
  }
}

const keyOf = (event: StoreEvent): string => (event.type === 'put' ? event.current.key : event.key)

function compactedAway(revision: number, floor: number): Error {
  return expired(`revision ${revision} is too old: the past before ${floor} was compacted away`)
}
