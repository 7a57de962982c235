import { afterEach, beforeEach, expect, test } from 'vitest'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import { jsonOf } from '../../api/meta/json-of.ts'
import { isExpired } from '../../api/meta/status.ts'
import { type AbortOptions, Bell } from '../../lib/async.ts'
import { FakeClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { createWatchCache, type WatchCacheOptions } from './cache.ts'
import { encodeObject } from './codec.ts'
import { incarnationKey } from './incarnation.ts'
import { objectKey } from './keys.ts'
import { MemoryStore } from './memory.ts'
import type { Store, StoreBatch } from './store.ts'

let stop: AbortController
let signal: AbortSignal
let clock: FakeClock
let store: MemoryStore

beforeEach(() => {
  stop = new AbortController()
  signal = stop.signal
  clock = new FakeClock()
  store = new MemoryStore()
})
afterEach(() => stop.abort())

function start(overrides: Partial<WatchCacheOptions> = {}) {
  const metrics = createMetrics('skiff_')
  const cache = createWatchCache({ store, kinds: [ConfigMap], clock, log: silentLog, metrics, ...overrides })
  const ended = cache.run(signal)
  return { cache, metrics, ended }
}

const keyFor = (namespace: string, name: string): string => objectKey(ConfigMap, namespace, name)

async function put(namespace: string, name: string, data: Record<string, string> = {}): Promise<number> {
  const key = keyFor(namespace, name)
  const { item } = await store.get(key, { signal })
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, uid: `uid-${name}` }, data }
  const writes = [{ put: key, value: encodeObject(object) }]
  return (await store.commit({ conditions: [{ key, modRevision: item?.modRevision ?? 0 }], writes }, { signal })).revision
}

async function remove(namespace: string, name: string): Promise<number> {
  const key = keyFor(namespace, name)
  const { item } = await store.get(key, { signal })
  const conditions = [{ key, modRevision: item?.modRevision ?? 0 }]
  return (await store.commit({ conditions, writes: [{ delete: key }] }, { signal })).revision
}

async function take<T>(stream: AsyncIterable<T>, isEnough: (all: T[]) => boolean): Promise<T[]> {
  const all: T[] = []
  for await (const one of stream) if (isEnough(all) || (all.push(one) && isEnough(all))) break
  return all
}

/** Lets what is ready run, in as many turns as a chain of promises may need. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}

test('lists what is stored, in order, and follows changes', async () => {
  await put('b', 'two')
  await put('a', 'one', { k: 'v' })
  const { cache } = start()
  await cache.ready({ signal })
  expect(cache.list(ConfigMap).map((object) => object.metadata.name)).toEqual(['one', 'two'])
  const before = cache.list(ConfigMap, 'a')
  await cache.waitFor(await put('a', 'new'), { signal })
  expect(cache.list(ConfigMap, 'a').map((object) => object.metadata.name)).toEqual(['new', 'one'])
  expect(before).toHaveLength(1)
  await cache.waitFor(await remove('a', 'one'), { signal })
  expect(cache.get(ConfigMap, 'a/one')).toBeUndefined()
  expect(cache.list(ConfigMap, 'none')).toEqual([])
})

test('objects carry their revision, are frozen, and share one JSON', async () => {
  const revision = await put('a', 'one', { k: 'v' })
  const { cache } = start()
  await cache.waitFor(revision, { signal })
  const object = cache.get(ConfigMap, 'a/one')
  expect(object?.metadata.resourceVersion).toBe(String(revision))
  expect(Object.isFrozen(object?.data)).toBe(true)
  if (object === undefined) throw new Error('the object is there')
  expect(jsonOf(object)).toBe(jsonOf(object))
  expect(JSON.parse(new TextDecoder().decode(jsonOf(object)))).toEqual(object)
})

test('a watch resumes from the history and goes on live, with what was there before each change', async () => {
  const { cache } = start()
  await cache.ready({ signal })
  const first = await put('a', 'one', { k: '1' })
  await put('a', 'one', { k: '2' })
  await cache.waitFor(await put('b', 'other'), { signal })
  const events = take(
    cache.watch(ConfigMap, { afterRevision: first, namespace: 'a', signal }),
    (all) => all.flatMap((b) => b.events).length >= 2,
  )
  await settle()
  const last = await remove('a', 'one')
  const seen = (await events).flatMap((batch) => batch.events)
  expect(seen.map((event) => [event.type, event.object.data?.['k'], event.previous?.data?.['k']])).toEqual([
    ['MODIFIED', '2', '1'],
    ['DELETED', '2', '2'],
  ])
  expect(seen.at(-1)?.object.metadata.resourceVersion).toBe(String(last))
})

test('an idle watch hears how far the store has come', async () => {
  const { cache } = start()
  await cache.ready({ signal })
  const batches = take(
    cache.watch(ConfigMap, { afterRevision: cache.revision, namespace: 'quiet', signal }),
    (all) => all.length === 1,
  )
  await settle()
  const revision = await put('busy', 'x')
  await cache.waitFor(revision, { signal })
  clock.step(1000)
  expect(await batches).toEqual([{ events: [], revision }])
})

test('a watch from before the history fails with Expired', async () => {
  await put('a', 'one')
  const { cache } = start({ historyPerKind: 10 })
  await cache.ready({ signal })
  const from = cache.revision
  for (let i = 0; i < 20; i++) await put('a', `n${i}`)
  await cache.waitForCurrent({ signal })
  const error = await take(cache.watch(ConfigMap, { afterRevision: from, signal }), () => true).catch((err: unknown) => err)
  expect(isExpired(error)).toBe(true)
})

test('a slow reader is cut off with Expired and does not slow the others', async () => {
  const { cache, metrics } = start({ bufferedEvents: 5 })
  await cache.ready({ signal })
  const slow = cache.watch(ConfigMap, { afterRevision: cache.revision, signal })[Symbol.asyncIterator]()
  const pending = slow.next()
  await settle()
  await put('a', 'first')
  await pending
  for (let i = 0; i < 10; i++) {
    await cache.waitFor(await put('a', `n${i}`), { signal })
  }
  const error = await slow.next().catch((err: unknown) => err)
  expect(isExpired(error)).toBe(true)
  expect((await metrics.render()).body).toContain('skiff_watch_cache_watchers_cut_total 1')
})

test('waiting for a revision that does not come ends with Timeout', async () => {
  const { cache } = start({ waitMs: 1000 })
  await cache.ready({ signal })
  const waiting = cache.waitFor(cache.revision + 1, { signal }).catch((err: unknown) => err)
  clock.step(1000)
  expect(await waiting).toMatchObject({ status: { reason: 'Timeout', code: 504 } })
})

test('a damaged value is reported and left out, and the others stay', async () => {
  await put('a', 'good')
  const key = keyFor('a', 'bad')
  const broken = { conditions: [{ key, modRevision: 0 }], writes: [{ put: key, value: new TextEncoder().encode('{"half":') }] }
  await store.commit(broken, { signal })
  const { cache } = start()
  await cache.ready({ signal })
  expect(cache.list(ConfigMap)).toHaveLength(1)
  expect(cache.unreadable(ConfigMap, 'a/bad')?.message).toMatch(/"\/skiff\/objects\/core\/configmaps\/a\/bad" is damaged/)
  await cache.waitFor(await remove('a', 'bad'), { signal })
  expect(cache.unreadable(ConfigMap, 'a/bad')).toBeUndefined()
})

test('owned objects are found by the UID of their owner', async () => {
  const key = keyFor('a', 'child')
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'parent', uid: 'u1' }]
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'child', namespace: 'a', ownerReferences } }
  const { cache } = start()
  await store.commit({ conditions: [{ key, modRevision: 0 }], writes: [{ put: key, value: encodeObject(object) }] }, { signal })
  await cache.waitForCurrent({ signal })
  expect(cache.ownedBy('u1').map((owned) => owned.metadata.name)).toEqual(['child'])
  await cache.waitFor(await remove('a', 'child'), { signal })
  expect(cache.ownedBy('u1')).toEqual([])
})

test('the cache lists again after a compaction and its readers hear Expired', async () => {
  await put('a', 'gone')
  const gate = new GatedStore(store)
  const { cache } = start({ store: gate })
  await cache.ready({ signal })
  const reader = take(cache.watch(ConfigMap, { afterRevision: cache.revision, signal }), () => false).catch((err: unknown) => err)
  await settle()
  gate.close()
  await remove('a', 'gone')
  const last = await put('a', 'fresh')
  await store.compact(last, { signal })
  gate.open()
  await cache.waitFor(last, { signal })
  expect(cache.list(ConfigMap).map((object) => object.metadata.name)).toEqual(['fresh'])
  expect(isExpired(await reader)).toBe(true)
})

test.each(['put', 'delete'] as const)('a lost %s event is found and repaired by comparing', async (type) => {
  await put('a', 'kept')
  await put('a', 'victim')
  const lossy = new GatedStore(store, (batch) => ({
    ...batch,
    events: batch.events.filter(
      (event) => event.type !== type || !(event.type === 'put' ? event.current.key : event.key).includes('victim'),
    ),
  }))
  const { cache, metrics } = start({ store: lossy, compareMs: 60_000 })
  await cache.ready({ signal })
  await settle()
  const revision = type === 'put' ? await put('a', 'victim', { k: 'new' }) : await remove('a', 'victim')
  await cache.waitFor(revision, { signal })
  expect(cache.get(ConfigMap, 'a/victim')?.data).toEqual({})
  clock.step(60_000)
  await settle()
  expect(cache.get(ConfigMap, 'a/victim')?.data).toEqual(type === 'put' ? { k: 'new' } : undefined)
  expect((await metrics.render()).body).toContain('skiff_watch_cache_repairs_total 1')
})

test('comparing finds nothing while writes go on', async () => {
  const { cache, metrics } = start({ compareMs: 1000 })
  await cache.ready({ signal })
  for (let i = 0; i < 200; i++) {
    await put('a', `n${i % 7}`)
    if (i % 3 === 0) await remove('a', `n${i % 7}`)
    if (i % 10 === 0) clock.step(1000)
  }
  await settle()
  const { body } = await metrics.render()
  expect(body).toContain('skiff_watch_cache_repairs_total 0')
  expect(Number(/compares_total\{result="same"\} (\d+)/.exec(body)?.[1])).toBeGreaterThan(3)
})

test('a store that was wiped is noticed, and the cache starts over', async () => {
  for (let i = 0; i < 5; i++) await put('a', `n${i}`)
  const swapped = new GatedStore(store)
  const { cache, ended } = start({ store: swapped, compareMs: 1000 })
  await cache.ready({ signal })
  await settle()
  store = new MemoryStore()
  swapped.swap(store)
  await put('a', 'only')
  const failed = ended.catch((err: unknown) => err)
  clock.step(1000)
  expect(String(await failed)).toMatch(/was at 6 before/)
  void cache.run(signal)
  await settle()
  expect(cache.list(ConfigMap).map((object) => object.metadata.name)).toEqual(['only'])
})

/** A store whose watch can be held back, changed or replaced. */
class GatedStore implements Store {
  #inner: Store
  readonly #change: (batch: StoreBatch) => StoreBatch
  #gate: Bell | undefined

  constructor(inner: Store, change: (batch: StoreBatch) => StoreBatch = (batch) => batch) {
    this.#inner = inner
    this.#change = change
  }

  close(): void {
    this.#gate = new Bell()
  }
  open(): void {
    this.#gate?.ring()
    this.#gate = undefined
  }
  swap(inner: Store): void {
    this.#inner = inner
  }

  get: Store['get'] = (key, opts) => this.#inner.get(key, opts)
  list: Store['list'] = (options) => this.#inner.list(options)
  commit: Store['commit'] = (transaction, opts) => this.#inner.commit(transaction, opts)
  campaign: Store['campaign'] = (options) => this.#inner.campaign(options)
  compact: Store['compact'] = (revision, opts) => this.#inner.compact(revision, opts)
  async *watch(options: AbortOptions & { prefix: string; afterRevision: number }): AsyncGenerator<StoreBatch, void, void> {
    let from = options.afterRevision
    for (;;) {
      for await (const batch of this.#inner.watch({ ...options, afterRevision: from })) {
        if (this.#gate !== undefined) {
          await this.#gate.wait(options) // What came meanwhile is asked for again, as after a reconnect.
          break
        }
        from = batch.revision
        yield this.#change(batch)
      }
    }
  }
}

/** A store as another one left it: the same keys at the same revisions, and other objects. */
async function history(life: string, data: string): Promise<MemoryStore> {
  const made = new MemoryStore()
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'one', namespace: 'a', uid: life }, data: { data } }
  const values = new Map([
    [incarnationKey, new TextEncoder().encode(life)],
    [keyFor('a', 'one'), encodeObject(object)],
  ])
  for (const [key, value] of values)
    await made.commit({ conditions: [{ key, modRevision: 0 }], writes: [{ put: key, value }] }, { signal })
  return made
}

test('a store whose data was exchanged is listed anew, even where the revisions are alike', async () => {
  store = await history('first', 'of the first')
  let now = store
  let connection = new AbortController()
  const facade: Store = {
    get: (...args) => now.get(...args),
    list: (...args) => now.list(...args),
    commit: (...args) => now.commit(...args),
    campaign: (...args) => now.campaign(...args),
    compact: (...args) => now.compact(...args),
    watch: (options) => now.watch({ ...options, signal: AbortSignal.any([options.signal, connection.signal]) }),
  }
  let setBacks = 0
  const setBack = (): void => {
    setBacks += 1
  }
  const { cache, ended } = start({ store: facade, setBack })
  await cache.ready({ signal })
  expect(cache.get(ConfigMap, 'a/one')?.data).toEqual({ data: 'of the first' })
  const watch = take(cache.watch(ConfigMap, { afterRevision: 2, signal }), () => false).catch((err: unknown) => err)
  now = await history('second', 'of the second')
  connection.abort(new Error('the connection broke'))
  await ended.catch(() => undefined)
  connection = new AbortController()
  // As a supervisor does; the first of these finds out, the second lists.
  const again = await cache.run(signal).catch((err: unknown) => err)
  expect(String(again)).toContain('another history')
  void cache.run(signal).catch(() => undefined)
  await settle()
  expect(cache.get(ConfigMap, 'a/one')?.data).toEqual({ data: 'of the second' })
  expect(cache.get(ConfigMap, 'a/one')?.metadata.uid).toBe('second')
  expect(setBacks).toBe(1)
  expect(isExpired(await watch)).toBe(true)
})

test('nothing is answered from another history, though the store has come as far as before', async () => {
  const first = await history('first', 'of the first')
  const swapped = new GatedStore(first)
  const { cache, ended } = start({ store: swapped })
  await cache.ready({ signal })
  await cache.waitForCurrent({ signal })
  swapped.swap(await history('second', 'of the second'))
  await expect(cache.waitForCurrent({ signal })).rejects.toThrow('another history')
  // Whoever starts it again has it listed.
  await expect(ended).rejects.toThrow('another history')
  void cache.run(signal).catch(() => undefined)
  await settle()
  await cache.waitForCurrent({ signal })
  expect(cache.get(ConfigMap, 'a/one')?.data).toEqual({ data: 'of the second' })
})

test('no write is planned by a cache whose watch has broken before the store was asked', async () => {
  await put('a', 'one', { data: 'kept' })
  const backup = store.snapshot()
  await put('a', 'two', { data: 'lost' })
  await put('a', 'one', { data: 'lost' })
  const { cache, ended } = start()
  await cache.ready({ signal })
  await cache.settled({ signal })
  store.restore(backup)
  // At the revision of the lost one.
  await put('a', 'two', { data: 'made' })
  await expect(ended).rejects.toThrow('connection was lost')
  expect(cache.get(ConfigMap, 'a/two')?.data).toEqual({ data: 'lost' })
  await expect(cache.settled({ signal })).rejects.toThrow('is being listed again')
  await cache.run(signal).catch(() => undefined)
  void cache.run(signal).catch(() => undefined)
  await settle()
  await cache.settled({ signal })
  expect(cache.get(ConfigMap, 'a/two')?.data).toEqual({ data: 'made' })
})

test('a restore that no new leader has told of is noticed by a revision that went back, though the store has come further', async () => {
  let setBacks = 0
  await put('a', 'one', { data: 'kept' })
  const backup = store.snapshot()
  await put('a', 'one', { data: 'lost' })
  const { cache, ended } = start({ setBack: () => setBacks++ })
  await cache.ready({ signal })
  store.restore(backup)
  for (const name of ['two', 'three', 'four']) await put('a', name)
  await expect(ended).rejects.toThrow('connection was lost')
  await expect(cache.run(signal)).rejects.toThrow('was at 3 before')
  expect(setBacks).toBe(0)
  void cache.run(signal).catch(() => undefined)
  await settle()
  await cache.waitForCurrent({ signal })
  expect(cache.get(ConfigMap, 'a/one')?.data).toEqual({ data: 'kept' })
  expect(cache.list(ConfigMap)).toHaveLength(4)
  expect(setBacks).toBe(1)
})

test('a life of the store that a leader begins is taken up by listing again, and nobody steps down for it', async () => {
  store = await history('first', 'x')
  let setBacks = 0
  const setBack = (): void => {
    setBacks += 1
  }
  const { cache } = start({ setBack })
  await cache.ready({ signal })
  const watch = take(cache.watch(ConfigMap, { afterRevision: 2, signal }), () => false).catch((err: unknown) => err)
  const writes = [{ put: incarnationKey, value: new TextEncoder().encode('second') }]
  await store.commit({ conditions: [{ key: incarnationKey, modRevision: 1 }], writes }, { signal })
  expect(isExpired(await watch)).toBe(true)
  await cache.waitFor(await put('a', 'two'), { signal })
  expect(cache.list(ConfigMap).map(({ metadata }) => metadata.name)).toEqual(['one', 'two'])
  expect(setBacks).toBe(0)
})
