import type { ApiObject } from '../../api/meta/object-meta.ts'
import { must } from '../../lib/assert.ts'
import type { ObjectKey } from './keys.ts'

/** Neighbours, in order of their keys: `objects` are those of `keys`. */
interface Run {
  readonly keys: string[]
  readonly objects: ApiObject[]
}

/** What is put into a run moves what stands behind it there: with one run for all, each new one of 30,000 took 60 to 120 µs. */
const runLimit = 256
const noObjects: readonly ApiObject[] = []

/** Objects in order of their keys. A list that was handed out never changes. */
class SortedObjects {
  /** In order, each with something in it, except that the first one may be alone and empty. */
  readonly #runs: Run[] = [{ keys: [], objects: [] }]
  #snapshot: readonly ApiObject[] | undefined

  get isEmpty(): boolean {
    return this.#runs.length === 1 && this.#runs[0]?.keys.length === 0
  }

  set(key: string, object: ApiObject): void {
    const { index, run } = this.#runOf(key)
    const at = positionIn(run.keys, key)
    this.#snapshot = undefined
    if (run.keys[at] === key) {
      run.objects[at] = object
      return
    }
    run.keys.splice(at, 0, key)
    run.objects.splice(at, 0, object)
    if (run.keys.length <= runLimit) return
    const half = run.keys.length >>> 1
    this.#runs.splice(index + 1, 0, { keys: run.keys.splice(half), objects: run.objects.splice(half) })
  }

  delete(key: string): void {
    const { index, run } = this.#runOf(key)
    const at = positionIn(run.keys, key)
    if (run.keys[at] !== key) return
    this.#snapshot = undefined
    run.keys.splice(at, 1)
    run.objects.splice(at, 1)
    if (run.keys.length === 0 && this.#runs.length > 1) this.#runs.splice(index, 1)
  }

  list(): readonly ApiObject[] {
    this.#snapshot ??= Object.freeze(noObjects.concat(...this.#runs.map(({ objects }) => objects)))
    return this.#snapshot
  }

  /** The last run that does not begin behind the key, or the first one. */
  #runOf(key: string): { readonly index: number; readonly run: Run } {
    let [low, high] = [0, this.#runs.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#runs[middle]?.keys[0] ?? '') <= key) low = middle
      else high = middle - 1
    }
    return { index: low, run: must(this.#runs[low], 'there is always a run') }
  }
}

/** Where the key stands, or where it belongs. */
function positionIn(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}

/** The objects of one kind, by key, and sorted per namespace and over all. */
class KindObjects {
  readonly byKey = new Map<string, ApiObject>()
  readonly all = new SortedObjects()
  readonly byNamespace = new Map<string, SortedObjects>()

  set(key: string, namespace: string | undefined, object: ApiObject): void {
    this.byKey.set(key, object)
    this.all.set(key, object)
    if (namespace === undefined) return
    const sorted = this.byNamespace.get(namespace) ?? new SortedObjects()
    this.byNamespace.set(namespace, sorted)
    sorted.set(key, object)
  }

  delete(key: string, namespace: string | undefined): void {
    this.byKey.delete(key)
    this.all.delete(key)
    if (namespace === undefined) return
    const sorted = this.byNamespace.get(namespace)
    sorted?.delete(key)
    if (sorted?.isEmpty === true) this.byNamespace.delete(namespace)
  }
}

/** Names a kind's bucket, whatever its version. */
export const bucketOf = ({ group, plural }: { readonly group: string; readonly plural: string }): string => `${group}/${plural}`

/** `namespace/name`, or `name`. */
export const cacheKeyOf = ({ namespace, name }: ObjectKey): string => (namespace === undefined ? name : `${namespace}/${name}`)

/** Every object, found by key, kind, namespace or owner. */
export class ObjectIndex {
  readonly #kinds = new Map<string, KindObjects>()
  /** Owner's UID → storage key of the owned → owned. */
  readonly #byOwner = new Map<string, Map<string, ApiObject>>()

  get(bucket: string, cacheKey: string): ApiObject | undefined {
    return this.#kinds.get(bucket)?.byKey.get(cacheKey)
  }

  list(bucket: string, namespace: string | undefined): readonly ApiObject[] {
    const kind = this.#kinds.get(bucket)
    const sorted = namespace === undefined ? kind?.all : kind?.byNamespace.get(namespace)
    return sorted?.list() ?? []
  }

  ownedBy(uid: string): readonly ApiObject[] {
    return [...(this.#byOwner.get(uid)?.values() ?? [])]
  }

  count(bucket: string): number {
    return this.#kinds.get(bucket)?.byKey.size ?? 0
  }

  /** Puts or removes (undefined) the object at a key and returns what was there. */
  replace(place: ObjectKey, object: ApiObject | undefined): ApiObject | undefined {
    const bucket = bucketOf(place)
    const cacheKey = cacheKeyOf(place)
    const previous = this.get(bucket, cacheKey)
    const storageKey = `${bucket}/${cacheKey}`
    if (previous !== undefined) this.#disown(storageKey, previous)
    if (object !== undefined) this.#own(storageKey, object)
    this.#setInKind(bucket, cacheKey, place.namespace, object)
    return previous
  }

  #setInKind(bucket: string, cacheKey: string, namespace: string | undefined, object: ApiObject | undefined): void {
    const known = this.#kinds.get(bucket)
    if (object === undefined) {
      known?.delete(cacheKey, namespace)
      return
    }
    const kind = known ?? new KindObjects()
    this.#kinds.set(bucket, kind)
    kind.set(cacheKey, namespace, object)
  }

  #own(storageKey: string, object: ApiObject): void {
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      const owned = this.#byOwner.get(uid) ?? new Map<string, ApiObject>()
      this.#byOwner.set(uid, owned)
      owned.set(storageKey, object)
    }
  }

  #disown(storageKey: string, object: ApiObject): void {
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      const owned = this.#byOwner.get(uid)
      owned?.delete(storageKey)
      if (owned?.size === 0) this.#byOwner.delete(uid)
    }
  }
}
