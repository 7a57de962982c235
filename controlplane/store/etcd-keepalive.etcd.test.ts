import { afterAll, beforeAll, expect, test } from 'vitest'
import { sleep } from '../../lib/async.ts'
import { systemClock } from '../../lib/clock.ts'
import { type Log, silentLog } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import { startTestEtcd, type TestEtcd } from '../testing/etcd.ts'
import { etcdStore } from './etcd.ts'

let etcd: TestEtcd
beforeAll(async () => {
  etcd = await startTestEtcd()
})
afterAll(async () => {
  await etcd[Symbol.asyncDispose]()
})

test('a quiet watch outlives pings while the same process leads', async () => {
  const broken: unknown[] = []
  const log: Log = {
    ...silentLog,
    warn: (message, fields) => void broken.push([message, fields]),
    debug: (message) => void (message === 'watch of etcd broke' && broken.push(message)),
  }
  const store = etcdStore({ endpoints: [etcd.endpoint], clock: systemClock, random: systemRandom, log })
  const stop = new AbortController()
  const { signal } = stop
  const leadership = await store.campaign({ key: '/skiff/elections/x', value: 'me', ttlMs: 4_000, signal })
  const { revision } = await store.get('/skiff/objects/a', { signal })
  const watching = (async () => {
    for await (const batch of store.watch({ prefix: '/skiff/objects/', afterRevision: revision, signal })) void batch
  })().catch(() => undefined)
  await sleep(systemClock, 13_000, signal) // Longer than the keep-alive interval.
  expect(broken).toEqual([])
  stop.abort(new Error('done'))
  await watching
  await leadership.resign()
  store.close()
})
