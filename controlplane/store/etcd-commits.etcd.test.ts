import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import { startTestEtcd, type TestEtcd } from '../testing/etcd.ts'
import { type FaultyProxy, faultyProxy } from '../testing/proxy.ts'
import { type EtcdStore, etcdStore } from './etcd.ts'
import type { CommitResult } from './store.ts'

const prefix = '/skiff/objects/'
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const { signal } = new AbortController()

let etcd: TestEtcd
let proxy: FaultyProxy
let store: EtcdStore

async function scene(args: readonly string[] = []): Promise<void> {
  etcd = await startTestEtcd({ args })
  proxy = await faultyProxy(etcd.port)
  store = etcdStore({ endpoints: [`http://127.0.0.1:${proxy.port}`], clock: systemClock, random: systemRandom, log: silentLog })
}

beforeEach(() => scene())
afterEach(end)

async function end(): Promise<void> {
  store.close()
  await proxy[Symbol.asyncDispose]()
  await etcd[Symbol.asyncDispose]()
}

const put = (key: string, value: Uint8Array, modRevision = 0): Promise<CommitResult> =>
  store.commit({ conditions: [{ key: prefix + key, modRevision }], writes: [{ put: prefix + key, value }] }, { signal })

const remove = (key: string, modRevision: number): Promise<CommitResult> =>
  store.commit({ conditions: [{ key: prefix + key, modRevision }], writes: [{ delete: prefix + key }] }, { signal })

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i)

test('transactions that are made at once share requests, and each succeeds or fails for itself', async () => {
  const taken = await Promise.all(range(20).map((i) => put(`taken-${i}`, bytes('first'))))
  const results = await Promise.all(range(40).map((i) => put(i % 2 === 0 ? `new-${i}` : `taken-${i % 20}`, bytes(`value ${i}`))))
  expect(results.map(({ committed }) => committed)).toEqual(range(40).map((i) => i % 2 === 0))
  expect(new Set(results.map(({ revision }) => revision)).size).toBeLessThan(20)
  for (const [i, result] of results.entries()) {
    const { item } = await store.get(`${prefix}${i % 2 === 0 ? `new-${i}` : `taken-${i % 20}`}`, { signal })
    if (result.committed) expect(item).toMatchObject({ modRevision: result.revision, value: Buffer.from(`value ${i}`) })
    else expect(result.current.get(`${prefix}taken-${i % 20}`)?.modRevision).toBe(taken[i % 20]?.revision)
  }
})

test('of writers of one key at once, one succeeds', async () => {
  for (const round of range(5)) {
    const results = await Promise.all(range(20).map((i) => put(`one-${round}`, bytes(String(i)))))
    expect(results.filter(({ committed }) => committed)).toHaveLength(1)
  }
})

test('what a transaction takes for granted is not taken away in the same revision', async () => {
  for (const round of range(10)) {
    const { revision } = await put(`room-${round}`, bytes('here'))
    const room = { key: `${prefix}room-${round}`, modRevision: revision }
    const enter = (i: number): Promise<CommitResult> => {
      const key = `${prefix}guest-${round}-${i}`
      return store.commit({ conditions: [{ key, modRevision: 0 }, room], writes: [{ put: key, value: bytes('') }] }, { signal })
    }
    const early = range(5).map((i) => enter(i))
    const closing = remove(`room-${round}`, revision)
    const late = range(20).map((i) => enter(5 + i))
    const [closed, ...entered] = await Promise.all([closing, ...early, ...late])
    expect(closed.committed).toBe(true)
    for (const guest of entered) if (guest.committed) expect(guest.revision).toBeLessThan(closed.revision)
  }
})

test('the answer of a shared request is lost: each transaction is found out to have succeeded', async () => {
  const first = [put('a', bytes('a')), put('b', bytes('b'))]
  proxy.loseNextAnswer(0)
  const results = await Promise.all([...first, ...range(20).map((i) => put(`lost-${i}`, bytes(`value ${i}`)))])
  expect(results.every(({ committed }) => committed)).toBe(true)
  for (const i of range(20)) {
    const { item } = await store.get(`${prefix}lost-${i}`, { signal })
    expect(item?.modRevision).toBe(results[2 + i]?.revision)
    expect(item?.createRevision).toBe(item?.modRevision)
  }
})

test('a transaction that etcd refuses takes no other with it', async () => {
  await end()
  await scene(['--max-request-bytes=100000'])
  const sizes = [10, 10, 10, 200_000, 10, 10]
  const results = await Promise.allSettled(sizes.map((size, i) => put(`sized-${i}`, new Uint8Array(size))))
  expect(results.map(({ status }) => status)).toEqual(sizes.map((size) => (size > 1_000 ? 'rejected' : 'fulfilled')))
})

test('shared requests too are refused when etcd is out of space, except for what they delete', async () => {
  await end()
  await scene(['--quota-backend-bytes=4000000'])
  const early = await put('early', bytes('early'))
  const fill = async (): Promise<void> => {
    for (const i of range(50)) await put(`fill-${i}`, new Uint8Array(500_000))
  }
  await expect(fill()).rejects.toMatchObject({ status: { code: 503 } })
  const results = await Promise.allSettled([
    ...range(20).map((i) => put(`late-${i}`, bytes(''))),
    remove('early', early.revision),
  ])
  expect(results.map(({ status }) => status)).toEqual([...range(20).map(() => 'rejected'), 'fulfilled'])
})

test('a transaction that is given up before it is sent is never sent', async () => {
  const before = [put('x', bytes('x')), put('y', bytes('y'))]
  const giveUp = new AbortController()
  const key = `${prefix}given-up`
  const given = store.commit({ conditions: [{ key, modRevision: 0 }], writes: [{ put: key, value: bytes('') }] }, giveUp)
  giveUp.abort(new Error('enough'))
  await expect(given).rejects.toThrow('enough')
  await Promise.all(before)
  await put('z', bytes('z'))
  expect((await store.get(key, { signal })).item).toBeUndefined()
})
