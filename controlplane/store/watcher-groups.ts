import type { ApiObject } from '../../api/meta/object-meta.ts'
import { tombstone } from './codec.ts'
import type { CacheEvent, Selection } from './watch-cache.ts'
import type { Watcher } from './watcher.ts'

/** Readers who want the same. */
interface Group {
  readonly namespace: string | undefined
  readonly selection: Selection | undefined
  readonly watchers: Set<Watcher>
}

interface Field {
  read(object: ApiObject): string
  readonly byValue: Map<string, Set<Group>>
}

/**
 * The readers of one kind, found by what an event is about: its namespace, or a field that has the value they ask for.
 * Only selections without such a field are asked about each event, and each of them once.
 */
export class WatcherGroups {
  readonly #groups = new Map<string, Group>()
  readonly #whole = new Map<string | undefined, Group>()
  readonly #asked = new Set<Group>()
  readonly #fields = new Map<string, Field>()

  add(watcher: Watcher, namespace: string | undefined, selection: Selection | undefined): Disposable {
    const id = JSON.stringify([namespace ?? null, selection?.id ?? null])
    const known = this.#groups.get(id)
    const group: Group = known ?? { namespace, selection, watchers: new Set() }
    if (known === undefined) {
      this.#groups.set(id, group)
      this.#index(group)
    }
    group.watchers.add(watcher)
    return {
      [Symbol.dispose]: () => {
        group.watchers.delete(watcher)
        if (group.watchers.size > 0 || this.#groups.get(id) !== group) return
        this.#groups.delete(id)
        this.#unindex(group)
      },
    }
  }

  *all(): Generator<Watcher, void, void> {
    for (const { watchers } of this.#groups.values()) yield* watchers
  }

  /** Calls `push` with the events that concern each group of readers, if any do. The lists are shared. */
  spread(events: readonly CacheEvent[], push: (watchers: ReadonlySet<Watcher>, events: readonly CacheEvent[]) => void): void {
    if (this.#whole.size > 0) this.#spreadWhole(events, push)
    const give = (group: Group, some: readonly CacheEvent[]): void => {
      const own = selected(some, group.namespace, group.selection)
      if (own.length > 0) push(group.watchers, own)
    }
    for (const group of this.#asked) give(group, events)
    for (const field of this.#fields.values()) {
      for (const [group, some] of concerned(field, events)) give(group, some)
    }
  }

  #spreadWhole(
    events: readonly CacheEvent[],
    push: (watchers: ReadonlySet<Watcher>, events: readonly CacheEvent[]) => void,
  ): void {
    const everywhere = this.#whole.get(undefined)
    if (everywhere !== undefined) push(everywhere.watchers, events)
    if (this.#whole.size === (everywhere === undefined ? 0 : 1)) return
    for (const [namespace, own] of Map.groupBy(events, (event) => event.object.metadata.namespace ?? '')) {
      const group = this.#whole.get(namespace)
      // One list where all are of one namespace, so that everybody shares what is made of it.
      if (group !== undefined) push(group.watchers, own.length === events.length ? events : own)
    }
  }

  #index(group: Group): void {
    const { namespace, selection } = group
    if (selection === undefined) this.#whole.set(namespace, group)
    else if (selection.exact === undefined) this.#asked.add(group)
    else {
      const { field, value, read } = selection.exact
      const known = this.#fields.get(field) ?? { read, byValue: new Map<string, Set<Group>>() }
      this.#fields.set(field, known)
      const groups = known.byValue.get(value) ?? new Set()
      known.byValue.set(value, groups)
      groups.add(group)
    }
  }

  #unindex(group: Group): void {
    const { namespace, selection } = group
    if (selection === undefined) this.#whole.delete(namespace)
    else if (selection.exact === undefined) this.#asked.delete(group)
    else {
      const { field, value } = selection.exact
      const known = this.#fields.get(field)
      const groups = known?.byValue.get(value)
      groups?.delete(group)
      if (groups?.size === 0) known?.byValue.delete(value)
      if (known?.byValue.size === 0) this.#fields.delete(field)
    }
  }
}

function concerned({ read, byValue }: Field, events: readonly CacheEvent[]): ReadonlyMap<Group, readonly CacheEvent[]> {
  const found = new Map<Group, CacheEvent[]>()
  for (const event of events) {
    for (const value of valuesOf(event, read)) {
      for (const group of byValue.get(value) ?? []) {
        const own = found.get(group) ?? []
        found.set(group, own)
        own.push(event)
      }
    }
  }
  return found
}

/** Also the one that the object had before: its readers see it go. */
function valuesOf({ object, previous }: CacheEvent, read: Field['read']): readonly string[] {
  const value = read(object)
  const before = previous === undefined ? value : read(previous)
  return value === before ? [value] : [value, before]
}

/** Of these events those that a reader with this selection is to see, as it is to see them. */
export function selected(
  events: readonly CacheEvent[],
  namespace: string | undefined,
  selection: Selection | undefined,
): readonly CacheEvent[] {
  if (namespace === undefined && selection === undefined) return events
  return events.flatMap((event) => {
    if (namespace !== undefined && event.object.metadata.namespace !== namespace) return []
    return selection === undefined ? [event] : seenBy(selection, event)
  })
}

function seenBy(selection: Selection, event: CacheEvent): readonly CacheEvent[] {
  const { type, object, previous, revision } = event
  const did = previous !== undefined && selection.matches(previous)
  if (type === 'DELETED') return did || (previous === undefined && selection.matches(object)) ? [event] : []
  if (selection.matches(object)) {
    const seen = did ? 'MODIFIED' : 'ADDED'
    return [seen === type ? event : { ...event, type: seen }]
  }
  return did ? [{ type: 'DELETED', object: tombstone(previous, revision), previous, revision }] : []
}
