import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isExpired, isUnavailable } from '../../api/meta/status.ts'
import { forEachLimit } from '../../lib/async.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { seededRandom, systemRandom } from '../../lib/random.ts'
import { startTestEtcd, type TestEtcd } from '../testing/etcd.ts'
import { type FaultyProxy, faultyProxy } from '../testing/proxy.ts'
import { type EtcdStore, etcdStore } from './etcd.ts'
import type { EtcdOptions } from './etcd-client.ts'
import type { CommitResult, Store, StoreBatch } from './store.ts'

const prefix = '/skiff/objects/'
const key = `${prefix}one`
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString()
const { signal } = new AbortController()

let etcd: TestEtcd
let proxy: FaultyProxy
/** Through the proxy. */
let store: EtcdStore
/** Past it. */
let direct: EtcdStore
let disposals: (() => unknown)[]

async function scene({ args = [], ...options }: Partial<EtcdOptions> & { args?: readonly string[] } = {}): Promise<void> {
  etcd = await startTestEtcd({ args })
  proxy = await faultyProxy(etcd.port)
  const common = { clock: systemClock, random: systemRandom, log: silentLog, ...options }
  store = etcdStore({ endpoints: [`http://127.0.0.1:${proxy.port}`], ...common })
  direct = etcdStore({ endpoints: [etcd.endpoint], ...common })
  disposals.push(
    () => store.close(),
    () => direct.close(),
    () => proxy[Symbol.asyncDispose](),
    () => etcd[Symbol.asyncDispose](),
  )
}

beforeEach(() => {
  disposals = []
})
afterEach(async () => {
  for (const dispose of disposals) await dispose()
})

function put(into: Store, at: string, value: Uint8Array, modRevision = 0): Promise<CommitResult> {
  return into.commit({ conditions: [{ key: at, modRevision }], writes: [{ put: at, value }] }, { signal })
}

/** Everything that a watch gives, until `count` events came. */
async function collect(from: number, count: number): Promise<readonly StoreBatch[]> {
  const batches: StoreBatch[] = []
  let events = 0
  for await (const batch of store.watch({ prefix, afterRevision: from, signal: AbortSignal.timeout(30_000) })) {
    batches.push(batch)
    events += batch.events.length
    if (events >= count) break
  }
  return batches
}

const revisionsOf = (batches: readonly StoreBatch[]): number[] =>
  batches.flatMap((batch) => batch.events).map((event) => (event.type === 'put' ? event.current.modRevision : event.modRevision))

test('a watch that is cut while it catches up loses and repeats nothing', async () => {
  await scene()
  const { revision } = await direct.get(key, { signal })
  const keys = Array.from({ length: 4_000 }, (_, i) => `${prefix}k${i}`)
  await forEachLimit(keys, 50, async (one) => void (await put(direct, one, new Uint8Array(1_000))))
  proxy.cutAfter(1_500_000, 2) // etcd sends a thousand revisions at a time while a watch catches up.
  const batches = await collect(revision, 4_000)
  expect(revisionsOf(batches)).toEqual(Array.from({ length: 4_000 }, (_, i) => revision + 1 + i))
  expect(batches.filter((batch) => batch.reconnected).length).toBe(2)
})

test('a watch that is cut, and an etcd that starts again, while writes go on lose and repeat nothing', async () => {
  await scene()
  const { revision } = await direct.get(key, { signal })
  const seen = collect(revision, 300)
  let last = 0
  for (let i = 0; i < 300; i++) {
    if (i % 60 === 30) proxy.cut()
    if (i === 150) await etcd.restart()
    last = (await put(direct, key, bytes(String(i)), last)).revision
  }
  expect(revisionsOf(await seen)).toEqual(Array.from({ length: 300 }, (_, i) => revision + 1 + i))
})

test('a watch that was away during a compaction ends with Expired', async () => {
  await scene()
  const { revision } = await direct.get(key, { signal })
  const seen = collect(revision, 100).catch((err: unknown) => err)
  const first = await put(direct, key, bytes('1'))
  await wait(300)
  proxy.refuse(true)
  const second = await put(direct, key, bytes('2'), first.revision)
  const third = await put(direct, key, bytes('3'), second.revision)
  await direct.compact(third.revision, { signal })
  proxy.refuse(false)
  expect(isExpired(await seen)).toBe(true)
})

test('a watch finds out that the store was wiped while it was away, though it asks for what is still to come', async () => {
  await scene()
  let { revision } = await put(direct, key, bytes('0'))
  for (let i = 0; i < 20; i++) revision = (await put(direct, key, bytes(String(i)), revision)).revision
  const seen = collect(revision, 1).catch((err: unknown) => err)
  await wait(300)
  await etcd.wipe()
  await put(direct, `${prefix}other`, bytes('of another history'))
  const err = await seen
  expect([isExpired(err), String(err)]).toEqual([true, expect.stringContaining('was set back')])
})

test('a create whose answer was lost is found out to have succeeded', async () => {
  await scene()
  await store.get(key, { signal })
  proxy.loseNextAnswer(150)
  const result = await put(store, key, bytes('mine'))
  const { item } = await direct.get(key, { signal })
  expect(result).toEqual({ committed: true, revision: item?.createRevision })
  expect(item?.modRevision).toBe(item?.createRevision)
})

test('an update whose answer was lost is found even under later versions of others', async () => {
  await scene()
  const { revision } = await put(direct, key, bytes('0'))
  await store.get(key, { signal })
  proxy.loseNextAnswer(400)
  const pending = put(store, key, bytes('mine'), revision)
  await wait(150)
  let { item } = await direct.get(key, { signal })
  const own = item?.modRevision
  for (const value of ['other', 'another']) {
    await put(direct, key, bytes(value), item?.modRevision)
    item = (await direct.get(key, { signal })).item
  }
  expect(await pending).toEqual({ committed: true, revision: own })
  expect(textOf(item?.value)).toBe('another')
})

test('a delete whose answer was lost is found out to have succeeded', async () => {
  await scene()
  const { revision } = await put(direct, key, bytes('0'))
  await store.get(key, { signal })
  proxy.loseNextAnswer(150)
  const result = await store.commit({ conditions: [{ key, modRevision: revision }], writes: [{ delete: key }] }, { signal })
  expect(result.committed).toBe(true)
  expect((await direct.get(key, { signal })).item).toBeUndefined()
})

test('a write that lost the race is refused, also when its first answer was lost', async () => {
  await scene()
  const { revision } = await put(direct, key, bytes('theirs'))
  await store.get(key, { signal })
  proxy.loseNextAnswer(150)
  const result = await put(store, key, bytes('mine'))
  expect(result.committed).toBe(false)
  if (!result.committed) expect(result.current.get(key)?.modRevision).toBe(revision)
})

test('counters that are written through a link that keeps breaking count exactly what was reported', async () => {
  await scene({ callMs: 10_000 })
  const random = seededRandom(7)
  await put(direct, key, bytes('0 start'))
  let reported = 0
  const writer = async (name: number): Promise<void> => {
    for (let i = 0; i < 400; i++) {
      const { item } = await store.get(key, { signal })
      const [count = '0'] = textOf(item?.value).split(' ')
      const result = await put(store, key, bytes(`${Number(count) + 1} ${name} ${i}`), item?.modRevision)
      if (result.committed) reported++
    }
  }
  const stop = new AbortController()
  const breaking = (async () => {
    while (!stop.signal.aborted) {
      await wait(100 + random.next() * 200)
      if (random.next() < 0.5) proxy.loseNextAnswer(random.next() * 40)
      else proxy.cut()
    }
  })()
  await Promise.all([1, 2, 3, 4].map(writer))
  stop.abort()
  await breaking
  const [count] = textOf((await direct.get(key, { signal })).item?.value).split(' ')
  expect(Number(count)).toBe(reported)
  expect(reported).toBeGreaterThan(100)
  expect(proxy.connections).toBeGreaterThan(5)
})

// etcd refuses the first itself; the second already its gRPC server, which etcd3 counts as a broken connection.
test.each([300_000, 1_000_000])('a request of %i bytes is refused at once, and the calls after it work at once', async (size) => {
  await scene({ args: ['--max-request-bytes=100000'] })
  for (let i = 0; i < 6; i++) {
    await expect(put(store, `${prefix}large`, new Uint8Array(size))).rejects.toMatchObject({ status: { code: 413 } })
  }
  const startMs = systemClock.monotonicMs()
  expect((await put(store, key, bytes('small'))).committed).toBe(true)
  expect(systemClock.monotonicMs() - startMs).toBeLessThan(1_000)
})

test('an etcd out of space refuses writes with a reason, and still reads and deletes', async () => {
  await scene({ args: ['--quota-backend-bytes=4000000'] })
  const { revision } = await put(store, key, bytes('early'))
  const fill = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) await put(store, `${prefix}fill${i}`, new Uint8Array(500_000))
  }
  await expect(fill()).rejects.toMatchObject({ status: { code: 503, message: expect.stringMatching(/out of space/) } })
  expect(textOf((await store.get(key, { signal })).item?.value)).toBe('early')
  const removed = await store.commit({ conditions: [{ key, modRevision: revision }], writes: [{ delete: key }] }, { signal })
  expect(removed.committed).toBe(true)
})

test('an etcd that is away gives 503 within the time of a call, and the next call after it is back works', async () => {
  await scene({ callMs: 1_500 })
  await store.get(key, { signal })
  proxy.refuse(true)
  const startMs = systemClock.monotonicMs()
  expect(isUnavailable(await store.get(key, { signal }).catch((err: unknown) => err))).toBe(true)
  expect(isUnavailable(await put(store, key, bytes('1')).catch((err: unknown) => err))).toBe(true)
  expect(systemClock.monotonicMs() - startMs).toBeLessThan(4_000)
  proxy.refuse(false)
  expect((await put(store, key, bytes('1'))).committed).toBe(true)
})

test('an etcd that hangs gives Timeout', async () => {
  await scene({ callMs: 1_000 })
  await store.get(key, { signal })
  await etcd.signal('SIGSTOP')
  await expect(store.get(key, { signal })).rejects.toMatchObject({ status: { code: 504, reason: 'Timeout' } })
  await etcd.signal('SIGCONT')
  expect((await store.get(key, { signal })).item).toBeUndefined()
})
