import { afterEach, beforeEach, expect, test } from 'vitest'
import { aborted } from '../../lib/async.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import { startTestEtcd, type TestEtcd } from '../testing/etcd.ts'
import { type FaultyProxy, faultyProxy } from '../testing/proxy.ts'
import { type EtcdStore, etcdStore } from './etcd.ts'
import { electionPrefix } from './store.ts'

const key = `${electionPrefix}controllers`
const ttlMs = 3_000
const { signal } = new AbortController()

let etcd: TestEtcd
let proxy: FaultyProxy
let first: EtcdStore
let second: EtcdStore

const open = (port: number): EtcdStore =>
  etcdStore({ endpoints: [`http://127.0.0.1:${port}`], clock: systemClock, random: systemRandom, log: silentLog })

beforeEach(async () => {
  etcd = await startTestEtcd()
  proxy = await faultyProxy(etcd.port)
  first = open(proxy.port)
  second = open(etcd.port)
})
afterEach(async () => {
  first.close()
  second.close()
  await proxy[Symbol.asyncDispose]()
  await etcd[Symbol.asyncDispose]()
})

/** Of etcd, so far. */
async function reads(): Promise<number> {
  const text = await (await fetch(`${etcd.endpoint}/metrics`)).text()
  const line = /^grpc_server_handled_total\{grpc_code="OK",grpc_method="Range".*\} (\d+)$/m.exec(text)
  return Number(line?.[1] ?? Number.NaN)
}

const campaign = (store: EtcdStore) => store.campaign({ key, value: 'me', ttlMs, signal })

test('a leader stays one for much longer than its lease, and reads its key only when something was written', async () => {
  const leader = await campaign(first)
  const before = await reads()
  await new Promise<void>((resolve) => void systemClock.after(ttlMs * 2, resolve))
  expect(leader.lost.aborted).toBe(false)
  expect((await reads()) - before).toBeLessThanOrEqual(2)
  expect((await second.get(key, { signal })).item?.createRevision).toBe(leader.fence.createRevision)
  await leader.resign()
})

test('a leader stays one while each answer of etcd takes half of its lease', async () => {
  const leader = await campaign(first)
  proxy.slow(ttlMs / 2)
  await new Promise<void>((resolve) => void systemClock.after(ttlMs * 3, resolve))
  expect(leader.lost.aborted).toBe(false)
  proxy.slow(0)
  await leader.resign()
})

test('a leader whose connections break again and again stays one', async () => {
  const leader = await campaign(first)
  for (let i = 0; i < 10; i++) {
    await new Promise<void>((resolve) => void systemClock.after(ttlMs / 5, resolve))
    proxy.cut()
  }
  expect(leader.lost.aborted).toBe(false)
  await leader.resign()
})

test('a leader that is cut off knows it before another can win', async () => {
  const leader = await campaign(first)
  const next = campaign(second)
  proxy.refuse(true)
  const times: string[] = []
  const lost = aborted(leader.lost).then(() => times.push('lost'))
  const won = next.then((leadership) => {
    times.push('won')
    return leadership
  })
  await Promise.all([lost, won])
  expect(times).toEqual(['lost', 'won'])
  await (await won).resign()
})

test('a leader whose process hangs together with etcd is not fooled by the pause of etcd', async () => {
  const leader = await campaign(first)
  const startMs = systemClock.monotonicMs()
  await etcd.signal('SIGSTOP')
  await aborted(leader.lost)
  await etcd.signal('SIGCONT')
  expect(systemClock.monotonicMs() - startMs).toBeLessThan(ttlMs)
})

test('a leader hears that its key was removed', async () => {
  const leader = await campaign(first)
  const { item } = await second.get(key, { signal })
  await second.commit({ conditions: [{ key, modRevision: item?.modRevision ?? 0 }], writes: [{ delete: key }] }, { signal })
  await aborted(leader.lost)
  expect(String(leader.lost.reason)).toMatch(/no longer ours/)
})

test('of many candidates one leads at a time, also when answers are lost', async () => {
  let leading = 0
  let most = 0
  const serve = async (store: EtcdStore): Promise<void> => {
    const leader = await campaign(store)
    leading++
    most = Math.max(most, leading)
    await new Promise<void>((resolve) => void systemClock.after(50, resolve))
    leading--
    await leader.resign()
  }
  proxy.loseNextAnswer(30)
  await Promise.all([first, second, first, second, first].map(serve))
  expect(most).toBe(1)
})
