import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { ObjectKey } from './keys.ts'

/** Objects in order of their keys. A list that was handed out never changes. */
class SortedObjects {
  readonly #keys: string[] = []
  readonly #objects: ApiObject[] = []
  #snapshot: readonly ApiObject[] | undefined

  get size(): number {
    return this.#keys.length
  }

  set(key: string, object: ApiObject): void {
    const at = this.#position(key)
    this.#snapshot = undefined
    if (this.#keys[at] === key) {
      this.#objects[at] = object
      return
    }
    this.#keys.splice(at, 0, key)
    this.#objects.splice(at, 0, object)
  }

  delete(key: string): void {
    const at = this.#position(key)
    if (this.#keys[at] !== key) return
    this.#snapshot = undefined
    this.#keys.splice(at, 1)
    this.#objects.splice(at, 1)
  }

  list(): readonly ApiObject[] {
    this.#snapshot ??= Object.freeze([...this.#objects])
    return this.#snapshot
  }

  /** Where the key stands, or where it belongs. */
  #position(key: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#keys[middle] ?? '') < key) low = middle + 1
      else high = middle
    }
    return low
  }
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
    if (sorted?.size === 0) this.byNamespace.delete(namespace)
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
