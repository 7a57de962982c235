import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import { Backoff } from '../../lib/backoff.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { type Random, seededRandom, systemRandom } from '../../lib/random.ts'
import { supervise } from '../../lib/service.ts'
import { startTestEtcd, type TestEtcd } from '../testing/etcd.ts'
import { type FaultyProxy, faultyProxy } from '../testing/proxy.ts'
import { createWatchCache } from './cache.ts'
import { decodeObject, encodeObject } from './codec.ts'
import { type EtcdStore, etcdStore } from './etcd.ts'
import { objectKey } from './keys.ts'
import { objectPrefix } from './store.ts'

const common = { clock: systemClock, random: systemRandom, log: silentLog }
let etcd: TestEtcd
let proxy: FaultyProxy
let store: EtcdStore
let direct: EtcdStore
let stop: AbortController
let ended: Promise<void>

beforeEach(async () => {
  etcd = await startTestEtcd()
  proxy = await faultyProxy(etcd.port)
  store = etcdStore({ endpoints: [`http://127.0.0.1:${proxy.port}`], ...common })
  direct = etcdStore({ endpoints: [etcd.endpoint], ...common })
  stop = new AbortController()
  ended = Promise.resolve()
})
afterEach(async () => {
  stop.abort(new Error('the test is over'))
  await ended
  store.close()
  direct.close()
  await proxy[Symbol.asyncDispose]()
  await etcd[Symbol.asyncDispose]()
})

async function randomWrite(random: Random): Promise<void> {
  const { signal } = stop
  const [namespace, name] = [`ns${Math.floor(random.next() * 3)}`, `n${Math.floor(random.next() * 20)}`]
  const key = objectKey(ConfigMap, namespace, name)
  const { item } = await direct.get(key, { signal })
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: { at: String(random.next()) } }
  const write = random.next() < 0.3 ? { delete: key } : { put: key, value: encodeObject(object) }
  await direct.commit({ conditions: [{ key, modRevision: item?.modRevision ?? 0 }], writes: [write] }, { signal })
}

test('the cache ends up as the store is, whatever breaks on the way, and its watches saw the same', async () => {
  const { signal } = stop
  const cache = createWatchCache({ store, kinds: [ConfigMap], ...common, metrics: createMetrics('t_'), compareMs: 500 })
  const backoff = new Backoff({ baseMs: 50, maxMs: 200, random: systemRandom, clock: systemClock })
  ended = supervise(cache, { clock: systemClock, log: silentLog, backoff, signal })
  await cache.ready({ signal })
  const seen = new Map<string, string | undefined>()
  const reading = (async () => {
    for await (const batch of cache.watch(ConfigMap, { afterRevision: cache.revision, namespace: 'ns1', signal })) {
      for (const { type, object } of batch.events) {
        if (type === 'DELETED') seen.delete(object.metadata.name ?? '')
        else seen.set(object.metadata.name ?? '', object.metadata.resourceVersion)
      }
    }
  })().catch((err: unknown) => {
    if (!signal.aborted) throw err
  })
  const random = seededRandom(11)
  for (let i = 0; i < 400; i++) {
    await randomWrite(random)
    if (i % 50 === 25) proxy.cut()
    if (i === 200) {
      proxy.refuse(true)
      await wait(300)
      proxy.refuse(false)
    }
  }
  const { items, revision } = await direct.list({ prefix: objectPrefix, signal })
  await cache.waitFor(revision, { signal })
  expect(cache.list(ConfigMap)).toEqual(items.map(decodeObject))
  const expected = cache.list(ConfigMap, 'ns1').map(({ metadata }) => [metadata.name, metadata.resourceVersion])
  await expect.poll(() => [...seen].sort(), { timeout: 5_000 }).toEqual(expected.sort())
  stop.abort(new Error('seen enough'))
  await reading
})

test('a consistent read sees what was just written elsewhere', async () => {
  const { signal } = stop
  const cache = createWatchCache({ store, kinds: [ConfigMap], ...common, metrics: createMetrics('t_') })
  ended = cache.run(signal)
  await cache.ready({ signal })
  const key = objectKey(ConfigMap, 'a', 'b')
  let modRevision = 0
  for (let i = 0; i < 50; i++) {
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'b', namespace: 'a' }, data: { i: String(i) } }
    const writes = [{ put: key, value: encodeObject(object) }]
    modRevision = (await direct.commit({ conditions: [{ key, modRevision }], writes }, { signal })).revision
    await Promise.all([1, 2, 3].map(() => cache.waitForCurrent({ signal })))
    expect(cache.get(ConfigMap, 'a/b')?.data).toEqual({ i: String(i) })
  }
})

test('who waits for a revision of another program in the same etcd is told soon, not at the next interval', async () => {
  const { signal } = stop
  const store = etcdStore({ endpoints: [etcd.endpoint], ...common, progressMs: 3_600_000 })
  const cache = createWatchCache({ store, kinds: [ConfigMap], ...common, metrics: createMetrics('t_') })
  const backoff = new Backoff({ baseMs: 50, maxMs: 200, random: systemRandom, clock: systemClock })
  ended = supervise(cache, { clock: systemClock, log: silentLog, backoff, signal }).finally(() => store.close())
  await cache.ready({ signal })
  for (const key of ['/others/a', '/others/b', '/others/c']) {
    const transaction = { conditions: [{ key, modRevision: 0 }], writes: [{ put: key, value: Buffer.from('x') }] }
    await direct.commit(transaction, { signal })
    await cache.waitForCurrent({ signal })
    expect(cache.revision).toBe((await direct.get(key, { signal })).revision)
  }
})
