import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { Log } from '../../lib/log.ts'
import { decodeObject, tombstone } from './codec.ts'
import { type ObjectKey, parseObjectKey } from './keys.ts'
import { bucketOf, cacheKeyOf, ObjectIndex } from './object-index.ts'
import type { KeyValue } from './store.ts'
import type { CacheEvent } from './watch-cache.ts'

export interface Change {
  readonly bucket: string
  readonly event: CacheEvent
}

/** What the cache knows of each key. Applying a change twice, or one older than what is known, does nothing. */
export class CacheState {
  readonly #log: Log
  readonly #decodeObject: typeof decodeObject
  #index = new ObjectIndex()
  /** Storage key → revision of the last change, of readable values and others. */
  readonly #revisions = new Map<string, number>()
  readonly #unreadable = new Map<string, { readonly modRevision: number; readonly message: string }>()

  constructor(log: Log, decode: typeof decodeObject = decodeObject) {
    this.#log = log
    this.#decodeObject = decode
  }

  get index(): ObjectIndex {
    return this.#index
  }

  get unreadableCount(): number {
    return this.#unreadable.size
  }

  keys(): readonly string[] {
    return [...this.#revisions.keys()]
  }

  revisionOf(key: string): number | undefined {
    return this.#revisions.get(key)
  }

  unreadable(bucket: string, cacheKey: string): { readonly modRevision: number; readonly message: string } | undefined {
    return this.#unreadable.get(`${bucket}/${cacheKey}`)
  }

  put(item: KeyValue): Change | undefined {
    if (item.modRevision <= (this.#revisions.get(item.key) ?? 0)) return undefined
    this.#revisions.set(item.key, item.modRevision)
    const place = parseObjectKey(item.key)
    if (place === undefined) {
      this.#log.error('a key that no object can have is ignored', { key: item.key })
      return undefined
    }
    const object = this.#decode(item, place)
    return this.#change(place, object, item.modRevision)
  }

  remove(key: string, revision: number): Change | undefined {
    const known = this.#revisions.get(key)
    if (known === undefined || known > revision) return undefined
    this.#revisions.delete(key)
    const place = parseObjectKey(key)
    if (place === undefined) return undefined
    this.#unreadable.delete(nameOf(place))
    return this.#change(place, undefined, revision)
  }

  clear(): void {
    this.#index = new ObjectIndex()
    this.#revisions.clear()
    this.#unreadable.clear()
  }

  /** A damaged value counts as no object: one bad value must not take the others with it. */
  #decode(item: KeyValue, place: ObjectKey): ApiObject | undefined {
    try {
      const object = this.#decodeObject(item)
      this.#unreadable.delete(nameOf(place))
      return object
    } catch (err) {
      this.#log.error('a stored object cannot be read', { key: item.key, modRevision: item.modRevision, err })
      const message = err instanceof Error ? err.message : String(err)
      this.#unreadable.set(nameOf(place), { modRevision: item.modRevision, message })
      return undefined
    }
  }

  #change(place: ObjectKey, object: ApiObject | undefined, revision: number): Change | undefined {
    const previous = this.#index.replace(place, object)
    const bucket = bucketOf(place)
    if (object !== undefined) {
      return { bucket, event: { type: previous === undefined ? 'ADDED' : 'MODIFIED', object, previous, revision } }
    }
    if (previous === undefined) return undefined
    return { bucket, event: { type: 'DELETED', object: tombstone(previous, revision), previous, revision } }
  }
}

const nameOf = (place: ObjectKey): string => `${bucketOf(place)}/${cacheKeyOf(place)}`
