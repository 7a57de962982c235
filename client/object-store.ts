import type { ApiObject } from '../api/meta/object-meta.ts'
import { assert } from '../lib/assert.ts'

/** The values under which an object is found. */
export type IndexFunction<O extends ApiObject> = (object: O) => readonly string[]

interface Index<O extends ApiObject> {
  readonly values: IndexFunction<O>
  readonly entries: Map<string, Map<string, O>>
}

const namespaceIndex = ' namespace'
const ownerIndex = ' owner'

/** Objects by key, with indexes that are kept up as they change. */
export class ObjectStore<O extends ApiObject> {
  readonly #objects = new Map<string, O>()
  readonly #indexes = new Map<string, Index<O>>()

  constructor() {
    this.addIndex(namespaceIndex, (object) => [object.metadata.namespace ?? ''])
    this.addIndex(ownerIndex, (object) => (object.metadata.ownerReferences ?? []).map((owner) => owner.uid))
  }

  addIndex(name: string, values: IndexFunction<O>): void {
    if (this.#indexes.has(name)) return
    const index: Index<O> = { values, entries: new Map() }
    this.#indexes.set(name, index)
    for (const [key, object] of this.#objects) insert(index, key, object)
  }

  get(key: string): O | undefined {
    return this.#objects.get(key)
  }

  list(namespace?: string): readonly O[] {
    return namespace === undefined ? [...this.#objects.values()] : this.byIndex(namespaceIndex, namespace)
  }

  ownedBy(uid: string): readonly O[] {
    return this.byIndex(ownerIndex, uid)
  }

  byIndex(name: string, value: string): readonly O[] {
    const index = this.#indexes.get(name)
    assert(index !== undefined, `there is an index "${name}"`)
    return [...(index.entries.get(value)?.values() ?? [])]
  }

  /** Gives what stood there before. */
  put(key: string, object: O): O | undefined {
    const old = this.#objects.get(key)
    if (old === object) return old
    this.#objects.set(key, object)
    for (const index of this.#indexes.values()) {
      if (old !== undefined) removeFrom(index, key, outdated(index, old, object))
      insert(index, key, object)
    }
    return old
  }

  delete(key: string): O | undefined {
    const old = this.#objects.get(key)
    if (old === undefined) return undefined
    this.#objects.delete(key)
    for (const index of this.#indexes.values()) removeFrom(index, key, index.values(old))
    return old
  }
}

function insert<O extends ApiObject>({ values, entries }: Index<O>, key: string, object: O): void {
  for (const value of values(object)) {
    const entry = entries.get(value) ?? new Map<string, O>()
    entries.set(value, entry)
    entry.set(key, object)
  }
}

/** Where the object stands and will no longer. What is only replaced keeps its place: maps grow anew after many deletions. */
function outdated<O extends ApiObject>({ values }: Index<O>, old: O, next: O): readonly string[] {
  const kept = values(next)
  return values(old).filter((value) => !kept.includes(value))
}

function removeFrom<O extends ApiObject>({ entries }: Index<O>, key: string, places: readonly string[]): void {
  for (const value of places) {
    const entry = entries.get(value)
    entry?.delete(key)
    if (entry?.size === 0) entries.delete(value)
  }
}
