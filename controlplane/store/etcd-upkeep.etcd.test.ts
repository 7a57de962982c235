import { expect, test } from 'vitest'
import { isUnavailable } from '../../api/meta/status.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { systemRandom } from '../../lib/random.ts'
import { startTestEtcd } from '../testing/etcd.ts'
import { etcdStore } from './etcd.ts'
import { createEtcdUpkeep } from './etcd-upkeep.ts'

const quotaBytes = 6_000_000
const common = { clock: systemClock, log: silentLog }

async function scene() {
  const etcd = await startTestEtcd({ args: [`--quota-backend-bytes=${quotaBytes}`] })
  const store = etcdStore({ endpoints: [etcd.endpoint], random: systemRandom, ...common })
  const stop = new AbortController()
  const { signal } = stop
  const put = (key: string, modRevision: number) =>
    store.commit({ conditions: [{ key, modRevision }], writes: [{ put: key, value: new Uint8Array(400_000) }] }, { signal })
  const metrics = createMetrics('t_')
  const ended = (): Promise<void> => createEtcdUpkeep({ store, quotaBytes, metrics, ...common, everyMs: 100 }).run(signal)
  const dispose = async (): Promise<void> => {
    stop.abort(new Error('the test is over'))
    store.close()
    await etcd[Symbol.asyncDispose]()
  }
  return { store, put, metrics, run: ended, dispose, signal }
}

test('an etcd that its own past has filled takes writes again', async () => {
  const { store, put, run, dispose, signal } = await scene()
  try {
    const fill = async (): Promise<void> => {
      for (let last = 0; ; ) last = (await put('/skiff/objects/one', last)).revision
    }
    expect(isUnavailable(await fill().catch((err: unknown) => err))).toBe(true)
    expect((await store.status({ signal })).isOutOfSpace).toBe(true)
    void run().catch(() => undefined) // Ends with the test.
    await expect.poll(async () => (await store.status({ signal })).isOutOfSpace, { timeout: 10_000 }).toBe(false)
    const { item } = await store.get('/skiff/objects/one', { signal })
    expect((await put('/skiff/objects/one', item?.modRevision ?? 0)).committed).toBe(true)
  } finally {
    await dispose()
  }
})

test('an etcd that is full of objects stays closed, and says how full it is', async () => {
  const { store, put, metrics, run, dispose, signal } = await scene()
  try {
    const fill = async (): Promise<void> => {
      for (let i = 0; ; i++) await put(`/skiff/objects/${i}`, 0)
    }
    expect(isUnavailable(await fill().catch((err: unknown) => err))).toBe(true)
    void run().catch(() => undefined) // Ends with the test.
    await expect.poll(async () => (await metrics.render()).body, { timeout: 10_000 }).toContain('t_etcd_out_of_space 1')
    await new Promise<void>((resolve) => void systemClock.after(500, resolve))
    expect((await store.status({ signal })).isOutOfSpace).toBe(true)
  } finally {
    await dispose()
  }
})
