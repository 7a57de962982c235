import type { KindDef } from '../api/kinds/define.ts'
import { type ApiObject, controllerOf, keyOf } from '../api/meta/object-meta.ts'
import { isConflict, isNotFound } from '../api/meta/status.ts'
import { type AbortOptions, sleep, withDeadline } from '../lib/async.ts'
import { Backoff } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Metrics } from '../lib/metrics.ts'
import type { Random } from '../lib/random.ts'
import type { Service } from '../lib/service.ts'
import type { Client } from './client.ts'
import type { Change, Informer } from './informer.ts'
import type { Informers } from './informers.ts'
import { type RecordedWrites, recordWrites } from './recorded-writes.ts'
import { WorkQueue } from './work-queue.ts'

/** Look at the key again later, even when nothing happens. */
export interface Again {
  readonly afterMs: number
}

export interface ReconcileContext extends AbortOptions {
  /** Records what it writes: the key is not reconciled again before the informers have seen it. */
  readonly client: Client
  readonly log: Log
}

/** Which keys a change of an object concerns. */
export interface Source {
  readonly kind: KindDef
  keys(change: Change<ApiObject>): Iterable<string>
}

/** Says what to retry without counting it as an error: somebody else was faster. */
const isRace = (err: unknown): boolean => isConflict(err) || isNotFound(err)

export interface ControllerDef {
  readonly name: string
  readonly sources: readonly Source[]
  /** Kinds that `reconcile` also reads from their informers, beside those of the sources. */
  readonly reads: readonly KindDef[]
  /** `plural` or `plural/status` of what it writes; a status has one writer. */
  readonly writes: readonly string[]
  readonly workers: number
  /** Keys that are looked at from the start, whatever there is. */
  readonly startKeys?: readonly string[]
  /** Brings what the key names to where it should be. Runs for one key at a time; must be repeatable at any point. */
  reconcile(key: string, context: ReconcileContext): Promise<Again | undefined>
}

/** Declares a controller whose keys are those of the objects of one kind. */
export function defineController<O extends ApiObject>(def: {
  readonly name: string
  readonly for: KindDef<O>
  readonly watches?: readonly Source[]
  readonly reads?: readonly KindDef[]
  readonly writes: readonly string[]
  readonly workers: number
  readonly reconcile: ControllerDef['reconcile']
}): ControllerDef {
  const { name, writes, workers, reconcile } = def
  return { name, writes, workers, reconcile, reads: def.reads ?? [], sources: [watches(def.for, ownKey), ...(def.watches ?? [])] }
}

const ownKey = (object: ApiObject): readonly string[] => [keyOf(object)]

/** Changes of objects of `kind` concern the keys that either of their states leads to. */
export function watches<O extends ApiObject>(kind: KindDef<O>, keys: (object: O) => Iterable<string>): Source {
  return {
    kind: kind as KindDef,
    keys(change) {
      const found = new Set<string>()
      for (const object of [change.old, change.new]) {
        if (object !== undefined) for (const key of keys(object as O)) found.add(key)
      }
      return found
    },
  }
}

/** Changes of objects of `kind` concern their controlling owner of kind `owner`. */
export function owned<O extends ApiObject>(kind: KindDef<O>, owner: { readonly kind: string }): Source {
  return watches(kind, (object) => {
    const ref = controllerOf(object)
    if (ref === undefined || ref.kind !== owner.kind) return []
    return [
      keyOf({
        metadata: {
          ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
          name: ref.name,
        },
      }),
    ]
  })
}

export interface ControllerDeps {
  readonly client: Client
  readonly informers: Informers
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  /** The revision of the election: nothing is reconciled before the informers have reached it. */
  readonly startRevision?: () => number
}

/** Makes services of controllers. Throws when two of them write the same status. */
export function controllerServices(defs: readonly ControllerDef[], deps: ControllerDeps): readonly Service[] {
  checkSingleWriters(defs)
  const handles = metricHandles(
    deps.metrics,
    defs.map((def) => def.name),
  )
  return defs.map((def) => {
    // Asked for here, so that they are known before the composition runs them.
    const kinds = new Set([...def.sources.map((source) => source.kind), ...def.reads])
    const informers = [...kinds].map((kind) => deps.informers.for(kind))
    return { name: `controller ${def.name}`, run: (signal) => new ControllerLoop(def, deps, { informers, handles }).run(signal) }
  })
}

function checkSingleWriters(defs: readonly ControllerDef[]): void {
  const writers = new Map<string, string>()
  for (const { name, writes } of defs) {
    for (const write of writes.filter((one) => one.includes('/'))) {
      const other = writers.get(write)
      if (other !== undefined) throw new Error(`controllers "${other}" and "${name}" both write ${write}`)
      writers.set(write, name)
    }
  }
}

type Handles = ReturnType<typeof metricHandles>

function metricHandles(metrics: Metrics, controllers: readonly string[]) {
  const labels = { controller: controllers }
  return {
    outcomes: metrics.counter('controller_reconciles_total', 'Reconciles by outcome.', {
      ...labels,
      outcome: ['done', 'again', 'race', 'error', 'behind'],
    }),
    seconds: metrics.histogram('controller_reconcile_seconds', 'How long a reconcile takes.', { labels }),
    depth: metrics.gauge('controller_queue_depth', 'Keys that wait for a worker.', labels),
  }
}

const behindDeadlineMs = 10_000
const reconcileDeadlineMs = 120_000
const resyncMs = 10 * 60_000

/** One run of a controller: ends with its signal, and everything it kept goes with it. */
class ControllerLoop {
  readonly #def: ControllerDef
  readonly #deps: ControllerDeps
  readonly #informers: readonly Informer<ApiObject>[]
  readonly #handles: Handles
  readonly #log: Log
  readonly #queue: WorkQueue
  readonly #backoff: Backoff
  /** Own writes by key that the informers may not show yet (law 3). Bounded by the keys there are. */
  readonly #unseen = new Map<string, RecordedWrites>()

  constructor(
    def: ControllerDef,
    deps: ControllerDeps,
    { informers, handles }: { informers: readonly Informer<ApiObject>[]; handles: Handles },
  ) {
    this.#def = def
    this.#deps = deps
    this.#informers = informers
    this.#handles = handles
    this.#log = deps.log.with({ controller: def.name })
    this.#queue = new WorkQueue(deps.clock)
    const { clock, random } = deps
    this.#backoff = new Backoff({ baseMs: 20, maxMs: 60_000, jitter: 0.2, resetAfterMs: 10 * 60_000, clock, random })
  }

  async run(signal: AbortSignal): Promise<void> {
    using queue = this.#queue
    using subscriptions = new DisposableStack()
    for (const source of this.#def.sources) {
      subscriptions.use(this.#deps.informers.for(source.kind).onChange((change) => this.#enqueue(source, change)))
    }
    // Own writes were made under an earlier election than the one that is waited for, or in a store that is gone.
    this.#unseen.clear()
    await this.#reach(Math.max(1, this.#deps.startRevision?.() ?? 0), signal)
    this.#enqueueAll()
    const workers = Array.from({ length: this.#def.workers }, () => this.#work(queue, signal))
    await Promise.all([...workers, this.#resync(signal)])
  }

  /** Losing an event only delays: everything is looked at again now and then (law 5). */
  async #resync(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.#deps.clock, resyncMs, signal).catch(() => undefined) // Aborted: the loop ends.
      if (!signal.aborted) this.#enqueueAll()
    }
  }

  #enqueueAll(): void {
    for (const key of this.#def.startKeys ?? []) this.#queue.add(key)
    for (const source of this.#def.sources) {
      for (const object of this.#deps.informers.for(source.kind).list()) this.#enqueue(source, { old: undefined, new: object })
    }
  }

  #enqueue(source: Source, change: Change<ApiObject>): void {
    for (const key of source.keys(change)) this.#queue.add(key)
    this.#measure()
  }

  #measure(): void {
    this.#handles.depth.set(this.#queue.depth, { controller: this.#def.name })
  }

  async #work(queue: WorkQueue, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const key = await queue.take({ signal }).catch(() => undefined) // Aborted: the loop ends.
      if (key === undefined) return
      this.#measure()
      await this.#runOne(key, signal)
    }
  }

  /** The only place that looks at an outcome. */
  async #runOne(key: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    const startMs = clock.monotonicMs()
    try {
      if (!(await this.#seesOwnWrites(key, signal))) return
      const again = await this.#reconcile(key, signal)
      this.#backoff.forget(key)
      if (again !== undefined) this.#queue.addAfter(key, again.afterMs)
      this.#count(again === undefined ? 'done' : 'again')
    } catch (err) {
      if (!signal.aborted) this.#onFailure(key, err)
    } finally {
      this.#handles.seconds.observe((clock.monotonicMs() - startMs) / 1000, { controller: this.#def.name })
      this.#queue.done(key)
    }
  }

  #onFailure(key: string, err: unknown): void {
    const isHarmless = isRace(err)
    this.#count(isHarmless ? 'race' : 'error')
    const afterMs = this.#backoff.next(key)
    if (isHarmless) this.#log.debug('somebody else was faster', { key, err })
    else this.#log.warn('reconcile failed', { key, afterMs: Math.round(afterMs), err })
    this.#queue.addAfter(key, afterMs)
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<Again | undefined> {
    const { clock, client } = this.#deps
    const writes = recordWrites(client.transport)
    const log = this.#log.with({ key })
    try {
      return await withDeadline({ clock, ms: reconcileDeadlineMs, signal, what: `reconcile "${key}"` }, (inner) =>
        this.#def.reconcile(key, { signal: inner, client: writes.client, log }),
      )
    } finally {
      // Also after a failure: a part may have been written.
      if (writes.hasWritten) this.#unseen.set(key, writes)
    }
  }

  /** False when the informers lag: the key comes up again later, and the worker is free for others. */
  async #seesOwnWrites(key: string, signal: AbortSignal): Promise<boolean> {
    const writes = this.#unseen.get(key)
    if (writes === undefined) return true
    const { clock } = this.#deps
    const what = `own writes to "${key}" in the informers`
    try {
      await withDeadline({ clock, ms: behindDeadlineMs, signal, what }, async (inner) =>
        this.#reach(await writes.revision({ signal: inner }), inner),
      )
    } catch (err) {
      if (signal.aborted) return false
      this.#log.warn('informers are behind', { key, err })
      this.#count('behind')
      this.#queue.addAfter(key, this.#backoff.next(key))
      return false
    }
    this.#unseen.delete(key)
    return true
  }

  async #reach(revision: number, signal: AbortSignal): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer.waitFor(revision, { signal })))
  }

  #count(outcome: string): void {
    this.#handles.outcomes.inc({ controller: this.#def.name, outcome })
  }
}
