import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { CacheEvent, Selection } from './watch-cache.ts'
import { Watcher } from './watcher.ts'
import { WatcherGroups } from './watcher-groups.ts'

const nodeOf = (object: ApiObject): string => object.metadata.labels?.['node'] ?? ''
const onNode = (value: string): Selection => ({
  id: `node=${value}`,
  matches: (object) => nodeOf(object) === value,
  exact: { field: 'node', value, read: nodeOf },
})
const withTier = (tier: string): Selection => ({
  id: `tier=${tier}`,
  matches: ({ metadata }) => metadata.labels?.['tier'] === tier,
})
const selections = [undefined, onNode('a'), onNode('b'), onNode(''), withTier('x'), withTier('y')]
const namespaces = [undefined, 'one', 'two']

interface Write {
  readonly name: string
  readonly namespace: string
  /** Absent: it is deleted. */
  readonly labels: Readonly<Record<string, string>> | undefined
}

const someLabels = fc.record({ node: fc.constantFrom('', 'a', 'b', 'c'), tier: fc.constantFrom('x', 'y', 'z') })
const someWrite: fc.Arbitrary<Write> = fc.record({
  name: fc.constantFrom('p', 'q'),
  namespace: fc.constantFrom('one', 'two', 'three'),
  labels: fc.option(someLabels, { nil: undefined }),
})

/** The events that a store would tell of these writes, a revision each. */
function eventsOf(writes: readonly Write[]): readonly CacheEvent[] {
  const state = new Map<string, ApiObject>()
  return writes.flatMap(({ name, namespace, labels }, index): CacheEvent[] => {
    const revision = index + 1
    const key = `${namespace}/${name}`
    const previous = state.get(key)
    if (labels === undefined) {
      state.delete(key)
      return previous === undefined ? [] : [{ type: 'DELETED', object: previous, previous, revision }]
    }
    const object: ApiObject = { apiVersion: 'v1', kind: 'Thing', metadata: { name, namespace, labels } }
    state.set(key, object)
    return [{ type: previous === undefined ? 'ADDED' : 'MODIFIED', object, previous, revision }]
  })
}

interface Seen {
  readonly type: string
  readonly key: string
  readonly revision: number
}

/** What a reader sees who looks at each event by itself. */
function plainly(
  events: readonly CacheEvent[],
  namespace: string | undefined,
  selection: Selection | undefined,
): readonly Seen[] {
  const isWanted = (object: ApiObject | undefined): boolean =>
    object !== undefined &&
    (namespace === undefined || object.metadata.namespace === namespace) &&
    (selection === undefined || selection.matches(object))
  return events.flatMap(({ type, object, previous, revision }) => {
    const [had, has] = [isWanted(previous), type !== 'DELETED' && isWanted(object)]
    if (!had && !has) return []
    const seen = has ? (had ? 'MODIFIED' : 'ADDED') : 'DELETED'
    return [{ type: seen, key: `${object.metadata.namespace}/${object.metadata.name}`, revision }]
  })
}

test('each reader sees what it would see if it looked at each event by itself', () => {
  fc.assert(
    fc.property(fc.array(someWrite, { maxLength: 40 }), fc.integer({ min: 1, max: 7 }), (writes, size) => {
      const groups = new WatcherGroups()
      const readers = namespaces.flatMap((namespace) =>
        selections.flatMap((selection) =>
          [1, 2].map(() => {
            const watcher = new Watcher({ afterRevision: 0, limit: 1_000, rarely: false })
            groups.add(watcher, namespace, selection)
            return { watcher, namespace, selection }
          }),
        ),
      )
      const events = eventsOf(writes)
      for (let at = 0; at < events.length; at += size) {
        const batch = events.slice(at, at + size)
        const revision = batch.at(-1)?.revision ?? 0
        groups.spread(batch, (watchers, own) => {
          for (const watcher of watchers) watcher.push(own, revision)
        })
      }
      for (const { watcher, namespace, selection } of readers) {
        const seen = (watcher.take()?.events ?? []).map(({ type, object, revision }) => ({
          type,
          key: `${object.metadata.namespace}/${object.metadata.name}`,
          revision,
        }))
        expect(seen).toEqual(plainly(events, namespace, selection))
      }
    }),
    { numRuns: 300 },
  )
})

test('readers who ask for the same get the same list, and a selection is asked once for all of them', () => {
  let asked = 0
  const counting = (): Selection => ({
    ...withTier('x'),
    matches: (object) => {
      asked++
      return withTier('x').matches(object)
    },
  })
  const groups = new WatcherGroups()
  const watchers = Array.from({ length: 50 }, () => new Watcher({ afterRevision: 0, limit: 10, rarely: false }))
  for (const watcher of watchers) groups.add(watcher, undefined, counting())
  const events = eventsOf([{ name: 'p', namespace: 'one', labels: { tier: 'x' } }])
  groups.spread(events, (some, own) => {
    for (const watcher of some) watcher.push(own, 1)
  })
  expect(asked).toBe(1)
  expect(new Set(watchers.map((watcher) => watcher.take()?.events)).size).toBe(1)
})

test('a selection by a field is not asked about objects that have another value there', () => {
  const groups = new WatcherGroups()
  const never: Selection = {
    ...onNode('a'),
    matches: () => {
      throw new Error('it was asked')
    },
  }
  using reader = groups.add(new Watcher({ afterRevision: 0, limit: 10, rarely: false }), undefined, never)
  const push = (): void => undefined
  const on = (node: string): readonly CacheEvent[] => eventsOf([{ name: 'p', namespace: 'one', labels: { node } }])
  groups.spread(on('b'), push)
  expect(() => groups.spread(on('a'), push)).toThrow('it was asked')
  reader[Symbol.dispose]()
  groups.spread(on('a'), push)
})
