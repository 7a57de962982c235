import { expect, test } from 'vitest'
import { isExpired } from '../../api/meta/status.ts'
import { FakeClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { createCompactor } from './compactor.ts'
import { MemoryStore } from './memory.ts'

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}

function scene(keepRevisions: number) {
  const store = new MemoryStore()
  const clock = new FakeClock()
  const stop = new AbortController()
  const { signal } = stop
  const running = createCompactor({ store, clock, log: silentLog, keepRevisions, keepMs: 300_000, everyMs: 60_000 }).run(signal)
  const write = async (): Promise<number> => {
    const key = `/skiff/objects/${store.revision}`
    return (
      await store.commit({ conditions: [{ key, modRevision: 0 }], writes: [{ put: key, value: new Uint8Array() }] }, { signal })
    ).revision
  }
  const isReadable = async (revision: number): Promise<boolean> => {
    const error = await store.list({ prefix: '/', revision, signal }).catch((err: unknown) => err)
    return !isExpired(error)
  }
  return { clock, write, isReadable, stop, running }
}

test('the past is kept for its time, and then forgotten', async () => {
  const { clock, write, isReadable, stop, running } = scene(1_000)
  const first = await write()
  for (let minute = 0; minute < 5; minute++) {
    await settle()
    clock.step(60_000)
    await write()
  }
  await settle()
  expect(await isReadable(first)).toBe(true)
  for (let minute = 0; minute < 3; minute++) {
    clock.step(60_000)
    await settle()
  }
  expect(await isReadable(first)).toBe(false)
  stop.abort()
  await running
})

test('a burst of writes is forgotten earlier', async () => {
  const { clock, write, isReadable, stop, running } = scene(10)
  const first = await write()
  for (let i = 0; i < 30; i++) await write()
  await settle()
  clock.step(60_000)
  await settle()
  expect(await isReadable(first)).toBe(false)
  expect(await isReadable((await write()) - 5)).toBe(true)
  stop.abort()
  await running
})
