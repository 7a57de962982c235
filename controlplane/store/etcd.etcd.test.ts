import { afterAll, beforeAll } from 'vitest'
import { must } from '../../lib/assert.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import { startTestEtcd, type TestEtcd } from '../testing/etcd.ts'
import { storeConformance } from './conformance.ts'
import { type EtcdStore, etcdStore } from './etcd.ts'

let etcd: TestEtcd | undefined
let store: EtcdStore | undefined

beforeAll(async () => {
  etcd = await startTestEtcd()
  store = etcdStore({ endpoints: [etcd.endpoint], clock: systemClock, random: systemRandom, log: silentLog })
})
afterAll(async () => {
  store?.close()
  await etcd?.[Symbol.asyncDispose]()
})

storeConformance('etcd', () => must(store, 'it was started before'))
