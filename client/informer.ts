import type { KindDef } from '../api/kinds/define.ts'
import { type ApiObject, keyOf } from '../api/meta/object-meta.ts'
import type { Selectors, WatchBatch } from '../api/meta/request.ts'
import { isExpired } from '../api/meta/status.ts'
import { type AbortOptions, isAbort, sleep, withDeadline } from '../lib/async.ts'
import { Backoff } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import type { Service } from '../lib/service.ts'
import type { Client } from './client.ts'
import { type IndexFunction, ObjectStore } from './object-store.ts'

/** What happened to one object. Neither is ever changed afterwards. */
export type Change<O extends ApiObject> =
  | { readonly old: undefined; readonly new: O }
  | { readonly old: O; readonly new: O }
  | { readonly old: O; readonly new: undefined }
export type ChangeHandler<O extends ApiObject> = (change: Change<O>) => void

/** Reads from memory; never waits. The objects are shared: read, never write. */
export interface Lister<O extends ApiObject> {
  get(key: string): O | undefined
  /** All, or those of one namespace. */
  list(namespace?: string): readonly O[]
  /** Those with an owner reference to `uid`. */
  ownedBy(uid: string): readonly O[]
  /** Those for which the index function of `addIndex(index, …)` gave `value`. */
  byIndex(index: string, value: string): readonly O[]
}

/**
 * Follows all objects of one kind: lists them, then watches, resumes where it was cut off, and lists again when the
 * past is gone. In one process with the registry it keeps the cache's own objects, so it costs only a map.
 */
export interface Informer<O extends ApiObject> extends Service, Lister<O> {
  readonly kind: KindDef<O>
  /** Everything up to this revision is in; 0 before the first list. */
  readonly revision: number
  readonly hasSynced: boolean
  waitForSync(opts: AbortOptions): Promise<void>
  /** Resolves when `revision` has been reached. Give a signal with a deadline. */
  waitFor(revision: number, opts: AbortOptions): Promise<void>
  /** Called for every change from now on, after the store has changed. Must not throw, must not wait. */
  onChange(handler: ChangeHandler<O>): Disposable
  addIndex(index: string, values: IndexFunction<O>): void
}

export interface InformerOptions<O extends ApiObject> extends Selectors {
  readonly kind: KindDef<O>
  readonly client: Pick<Client, 'list' | 'watch'>
  readonly namespace?: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

const listDeadlineMs = 60_000

export function createInformer<O extends ApiObject>(options: InformerOptions<O>): Informer<O> {
  return new ListWatchInformer(options)
}

interface Waiter {
  readonly revision: number
  resolve(): void
}

class ListWatchInformer<O extends ApiObject> implements Informer<O> {
  readonly name: string
  readonly kind: KindDef<O>
  readonly #options: InformerOptions<O>
  readonly #scope: Selectors & { readonly namespace?: string }
  readonly #store = new ObjectStore<O>()
  readonly #handlers = new Set<ChangeHandler<O>>()
  readonly #waiters = new Set<Waiter>()
  readonly #backoff: Backoff
  #revision = 0
  #mustList = true

  constructor(options: InformerOptions<O>) {
    const { kind, clock, random, namespace, labelSelector, fieldSelector } = options
    this.name = `informer ${kind.plural}`
    this.kind = kind
    this.#options = options
    this.#scope = {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    }
    this.#backoff = new Backoff({ baseMs: 100, maxMs: 10_000, resetAfterMs: 30_000, jitter: 0.2, clock, random })
  }

  get revision(): number {
    return this.#revision
  }

  get hasSynced(): boolean {
    return this.#revision > 0
  }

  get(key: string): O | undefined {
    return this.#store.get(key)
  }

  list(namespace?: string): readonly O[] {
    return this.#store.list(namespace)
  }

  ownedBy(uid: string): readonly O[] {
    return this.#store.ownedBy(uid)
  }

  byIndex(index: string, value: string): readonly O[] {
    return this.#store.byIndex(index, value)
  }

  addIndex(index: string, values: IndexFunction<O>): void {
    this.#store.addIndex(index, values)
  }

  onChange(handler: ChangeHandler<O>): Disposable {
    this.#handlers.add(handler)
    return { [Symbol.dispose]: () => void this.#handlers.delete(handler) }
  }

  waitForSync(opts: AbortOptions): Promise<void> {
    return this.waitFor(1, opts)
  }

  waitFor(revision: number, { signal }: AbortOptions): Promise<void> {
    if (this.#revision >= revision) return Promise.resolve()
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      const stop = (): void => {
        this.#waiters.delete(waiter)
        reject(signal.reason)
      }
      const waiter: Waiter = {
        revision,
        resolve: () => {
          signal.removeEventListener('abort', stop)
          resolve()
        },
      }
      this.#waiters.add(waiter)
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    while (!signal.aborted) {
      try {
        if (this.#mustList) await this.#list(signal)
        await this.#watch(signal)
      } catch (err) {
        if (isAbort(err, signal) || signal.aborted) return
        if (isExpired(err)) this.#forget()
        else log.warn('watch broke off', { resource: this.kind.plural, err })
      }
      // Also after a watch that simply ended: a server that ends each at once must not make this loop spin.
      await sleep(clock, this.#backoff.next('watch'), signal).catch(() => undefined) // Aborted: the loop ends.
    }
  }

  /** Nobody may act on what is known until it was listed again: the store may have been set back. */
  #forget(): void {
    this.#mustList = true
    this.#revision = 0
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, kind, clock } = this.#options
    const what = `list ${kind.plural}`
    const list = await withDeadline({ clock, ms: listDeadlineMs, signal, what }, (inner) =>
      client.list(kind, { ...this.#scope, signal: inner }),
    )
    const seen = new Set<string>()
    const changes: Change<O>[] = []
    for (const item of list.items) {
      const object = withKind(kind, item)
      const key = keyOf(object)
      seen.add(key)
      changes.push(...this.#put(key, object))
    }
    for (const gone of this.#store.list()) {
      if (seen.has(keyOf(gone))) continue
      this.#store.delete(keyOf(gone))
      changes.push({ old: gone, new: undefined })
    }
    this.#mustList = false
    this.#revision = 0
    this.#publish(changes, Number(list.metadata.resourceVersion))
  }

  /** An object that was deleted and made anew between two looks is two changes. */
  #put(key: string, object: O): readonly Change<O>[] {
    const old = this.#store.put(key, object)
    if (old === undefined) return [{ old: undefined, new: object }]
    if (old === object || old.metadata.resourceVersion === object.metadata.resourceVersion) return []
    if (old.metadata.uid === object.metadata.uid) return [{ old, new: object }]
    return [
      { old, new: undefined },
      { old: undefined, new: object },
    ]
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, kind } = this.#options
    for await (const batch of client.watch(kind, { ...this.#scope, resourceVersion: String(this.#revision), signal })) {
      this.#apply(batch)
    }
  }

  #apply({ events, revision }: WatchBatch<O>): void {
    const changes = events.flatMap(({ type, object }): readonly Change<O>[] => {
      const key = keyOf(object)
      if (type !== 'DELETED') return this.#put(key, object)
      const old = this.#store.delete(key)
      // The last state is what handlers get: it can say more than what was kept, such as when the deletion began.
      return old === undefined ? [] : [{ old: object, new: undefined }]
    })
    this.#publish(changes, revision)
  }

  /** A fault in one handler must not cost the others an event. */
  #tell(handler: ChangeHandler<O>, change: Change<O>): void {
    try {
      handler(change)
    } catch (err) {
      this.#options.log.error('change handler failed', { resource: this.kind.plural, err })
    }
  }

  #publish(changes: readonly Change<O>[], revision: number): void {
    this.#revision = Math.max(this.#revision, revision)
    for (const change of changes) for (const handler of this.#handlers) this.#tell(handler, change)
    for (const waiter of this.#waiters) {
      if (waiter.revision > this.#revision) continue
      this.#waiters.delete(waiter)
      waiter.resolve()
    }
  }
}

/** Items of lists over the wire may leave out what the list says already. */
function withKind<O extends ApiObject>(kind: KindDef<O>, object: O): O {
  if (object.kind !== undefined && object.apiVersion !== undefined) return object
  return { ...object, apiVersion: kind.apiVersion, kind: kind.kind }
}
