import type { KindDef } from '../../api/kinds/define.ts'
import { type ApiObject, keyOf } from '../../api/meta/object-meta.ts'
import { conflict, internalError, isInvalid, StatusError, timeout } from '../../api/meta/status.ts'
import { deepFreeze, encodeObject } from '../store/codec.ts'
import { objectKey } from '../store/keys.ts'
import type { CommitResult, Condition, Transaction, Write } from '../store/store.ts'
import type { CallOptions, RegistryOptions } from './options.ts'
import { missing } from './read.ts'

export interface Place {
  readonly kind: KindDef
  readonly namespace: string | undefined
  readonly name: string
}

/** What else goes with a write in the same transaction. */
export interface Extra {
  readonly conditions: readonly Condition[]
  readonly writes: readonly Write[]
}
export const nothingElse: Extra = { conditions: [], writes: [] }

/** `object` absent: the object goes. */
export interface Change {
  readonly object: ApiObject | undefined
  readonly extra?: Extra
}

export type Outcome =
  | { readonly type: 'kept' | 'put'; readonly object: ApiObject }
  /** The last state, with the revision of the deletion. */
  | { readonly type: 'deleted'; readonly object: ApiObject }

export interface WriteOptions extends CallOptions {
  readonly dryRun?: boolean
}

/** Allocation keys that turned out to be taken though the cache did not know. */
export type Taken = Set<string>

const attemptsLimit = 32

export const placeKey = ({ namespace, name }: Place): string =>
  keyOf({ metadata: { name, ...(namespace === undefined ? {} : { namespace }) } })

/** The revision that an object was stored at. */
export const storedAt = (object: ApiObject): number => Number(object.metadata.resourceVersion ?? 0)

/**
 * Changes one object: `plan` says what becomes of the current state (undefined: nothing), and is asked again when
 * somebody else wrote meanwhile. It is asked from the cache first; whatever it refuses there, or leaves as it is, it is
 * asked once more about the newest state, so that nobody is refused, or told that all is done, because of a past one.
 */
export async function changeObject(
  deps: RegistryOptions,
  place: Place,
  plan: (current: ApiObject, taken: Taken) => Change | undefined,
  opts: WriteOptions,
): Promise<Outcome> {
  const { cache } = deps
  const key = objectKey(place.kind, place.namespace, place.name)
  const taken: Taken = new Set()
  const view = { isNewest: false, isEnough: ({ change }: { change: Change | undefined }) => change !== undefined }
  const ask = () => {
    const current = cache.get(place.kind, placeKey(place))
    if (current === undefined) throw missing(deps, place.kind, { key: placeKey(place), name: place.name })
    return { current, change: plan(current, taken) }
  }
  await cache.ready(opts)
  await cache.settled(opts)
  for (let attempt = 0; attempt < attemptsLimit; attempt++) {
    const { current, change } = await asked(deps, view, ask, opts)
    if (change === undefined) return { type: 'kept', object: current }
    if (opts.dryRun === true) return wouldBe(change, current)
    const result = await deps.store.commit(transactionOf({ key, modRevision: storedAt(current) }, change, opts), opts)
    if (result.committed) return settled(deps, place, { change, current, revision: result.revision }, opts)
    learn(deps, { key, result, taken }, place, opts)
    await cache.waitFor(result.revision, opts)
    view.isNewest = true
  }
  throw conflict(place.kind, place.name, `it was changed by others during each of ${attemptsLimit} attempts; try again`)
}

interface View<C> {
  isNewest: boolean
  /** Whether this answer needs no second look. */
  readonly isEnough?: (answer: C) => boolean
}

/** Whatever `plan` refuses about the state in the cache, or does nothing about, it is asked once more about the newest one. */
async function asked<C>({ cache }: RegistryOptions, view: View<C>, plan: () => C, opts: CallOptions): Promise<C> {
  try {
    const first = plan()
    if (view.isNewest || view.isEnough?.(first) !== false) return first
  } catch (err) {
    if (view.isNewest || !(err instanceof StatusError)) throw err
  }
  await cache.waitForCurrent(opts)
  view.isNewest = true
  return plan()
}

const wouldBe = ({ object }: Change, current: ApiObject): Outcome =>
  object === undefined ? { type: 'deleted', object: current } : { type: 'put', object }

function transactionOf(
  condition: Condition & { key: string },
  { object, extra = nothingElse }: Change,
  { fence }: CallOptions,
): Transaction {
  const write: Write = object === undefined ? { delete: condition.key } : { put: condition.key, value: encodeObject(object) }
  return {
    conditions: [condition, ...(fence === undefined ? [] : [fence]), ...extra.conditions],
    writes: [write, ...extra.writes],
  }
}

/** Remembers what a refused transaction showed; throws when the fence was it. */
function learn(
  deps: RegistryOptions,
  { key, result, taken }: { key: string; result: Extract<CommitResult, { committed: false }>; taken: Taken },
  place: Place,
  { fence }: CallOptions,
): void {
  if (fence !== undefined && result.current.get(fence.key)?.createRevision !== fence.createRevision) {
    throw conflict(place.kind, place.name, 'the writer is no longer the leader')
  }
  for (const [at, item] of result.current) if (item !== undefined && at !== key) taken.add(at)
  deps.log.debug('a write was overtaken', { key, revision: result.revision })
}

async function settled(
  deps: RegistryOptions,
  place: Place,
  { change, current, revision }: { change: Change; current: ApiObject; revision: number },
  opts: WriteOptions,
): Promise<Outcome> {
  await seen(deps, revision, opts)
  if (change.object === undefined) return { type: 'deleted', object: stamped(current, revision) }
  return { type: 'put', object: shared(deps, place, change.object, revision) }
}

/** The cache's own copy if it is still this state. */
function shared({ cache }: RegistryOptions, place: Place, object: ApiObject, revision: number): ApiObject {
  const cached = cache.get(place.kind, placeKey(place))
  return cached?.metadata.resourceVersion === String(revision) ? cached : stamped(object, revision)
}

const stamped = (object: ApiObject, revision: number): ApiObject =>
  deepFreeze({ ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } })

/** Read-your-writes. The write stands, so that a cache that lags too far makes no error of it. */
async function seen({ cache, log }: RegistryOptions, revision: number, opts: CallOptions): Promise<void> {
  try {
    await cache.waitFor(revision, opts)
  } catch (err) {
    log.warn('the watch cache lags behind a write', { revision, err })
  }
}

export type Insertion =
  | { readonly done: true; readonly object: ApiObject }
  /** The name is in use. */
  | { readonly done: false }

/**
 * Stores a new object. `plan` gives it with what must hold beside (the namespace, allocations), and is asked again when
 * that has changed.
 */
export async function insertObject(
  deps: RegistryOptions,
  place: Place,
  plan: (taken: Taken) => Change & { readonly object: ApiObject },
  opts: WriteOptions,
): Promise<Insertion> {
  const { cache } = deps
  const key = objectKey(place.kind, place.namespace, place.name)
  const taken: Taken = new Set()
  await cache.ready(opts)
  await cache.settled(opts)
  const view = { isNewest: false }
  for (let attempt = 0; attempt < attemptsLimit; attempt++) {
    const change = await asked(deps, view, () => plan(taken), opts).catch((err: unknown) => {
      // The name is in use, and so is what goes with it, such as the address of a service: the name says more.
      if (isInvalid(err) && cache.get(place.kind, placeKey(place)) !== undefined) return undefined
      throw err
    })
    if (change === undefined) return { done: false }
    if (opts.dryRun === true) return wouldInsert(deps, place, change.object, opts)
    const result = await deps.store.commit(transactionOf({ key, modRevision: 0 }, change, opts), opts)
    if (result.committed) {
      await seen(deps, result.revision, opts)
      return { done: true, object: shared(deps, place, change.object, result.revision) }
    }
    learn(deps, { key, result, taken }, place, opts)
    if (result.current.get(key) !== undefined) return { done: false }
    await cache.waitFor(result.revision, opts)
    view.isNewest = true
  }
  throw timeout(`creating ${place.kind.plural} "${place.name}" did not succeed in ${attemptsLimit} attempts; try again`)
}

async function wouldInsert(deps: RegistryOptions, place: Place, object: ApiObject, opts: CallOptions): Promise<Insertion> {
  await deps.cache.waitForCurrent(opts)
  if (deps.cache.get(place.kind, placeKey(place)) !== undefined) return { done: false }
  const damage = deps.cache.unreadable(place.kind, placeKey(place))
  if (damage !== undefined) throw internalError(damage.message)
  return { done: true, object }
}
