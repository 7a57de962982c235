import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FakeClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import { Incarnation, type IncarnationOptions } from './incarnation.ts'
import { MemoryStore } from './memory.ts'
import { RevisionMemory } from './revision-memory.ts'
import { electionPrefix } from './store.ts'

const { signal } = new AbortController()
const opts = { signal }
const base = { clock: new FakeClock(), random: systemRandom, log: silentLog }

async function elected(store: MemoryStore) {
  const leadership = await store.campaign({ key: `${electionPrefix}controlplane`, value: 'me', ttlMs: 1000, signal })
  const open = (over: Partial<IncarnationOptions> = {}) =>
    Incarnation.open({ ...base, store, fence: leadership.fence, ...over }, opts)
  return { leadership, open }
}

/** A store that has had some changes, and a log that is `ahead` entries longer. */
const at = (store: MemoryStore, ahead: number) => async () => ({ revision: store.revision, logIndex: store.revision + ahead })

test('elections let the epoch grow, and the incarnation stays', async () => {
  const store = new MemoryStore()
  const first = await elected(store)
  const one = await first.open({ position: at(store, 3) })
  expect(one.epoch).toBe(first.leadership.fence.createRevision)
  await first.leadership.resign()
  const second = await elected(store)
  const two = await second.open({ position: at(store, 9) })
  expect(two.id).toBe(one.id)
  expect(two.epoch).toBeGreaterThan(one.epoch)
})

test('a log that is shorter than the store’s changes tells a restore', async () => {
  const store = new MemoryStore()
  const first = await elected(store)
  const one = await first.open({ position: at(store, 3) })
  await first.leadership.resign()
  const second = await elected(store)
  const two = await second.open({ position: at(store, -40) })
  expect(two.id).not.toBe(one.id)
  expect(two.epoch).toBeGreaterThan(2 ** 40)
  await second.leadership.resign()
  const third = await elected(store)
  const three = await third.open({ position: at(store, -30) })
  expect(three.id).toBe(two.id)
  await third.leadership.resign()
  const fourth = await elected(store)
  expect((await fourth.open({ position: at(store, -90) })).epoch).toBeGreaterThan(2 * 2 ** 40)
})

test('a store that is behind what was remembered outside of it was set back', async () => {
  const store = new MemoryStore()
  const first = await elected(store)
  const one = await first.open()
  await first.leadership.resign()
  const second = await elected(store)
  expect((await second.open({ remembered: second.leadership.fence.createRevision - 1 })).id).toBe(one.id)
  expect((await second.open({ remembered: second.leadership.fence.createRevision })).id).not.toBe(one.id)
})

test('the epoch is lifted above one that a node has obeyed, by a leader only, and not beyond reason', async () => {
  const store = new MemoryStore()
  const first = await elected(store)
  const one = await first.open()
  const { id } = one
  await one.lift(BigInt(one.epoch - 1), opts)
  expect(one.id).toBe(id)
  const seen = one.epoch + 500
  await one.lift(BigInt(seen), opts)
  expect(one.epoch).toBeGreaterThan(seen)
  expect(one.id).not.toBe(id)
  await expect(one.lift(2n ** 60n, opts)).rejects.toThrow(/no control plane can have had/)
  await first.leadership.resign()
  const second = await elected(store)
  const two = await second.open()
  expect(two.id).toBe(one.id)
  expect(two.epoch).toBeGreaterThan(one.epoch)
  await expect(one.lift(BigInt(two.epoch), opts)).rejects.toThrow(/leadership was lost/)
})

test('how far the store had come is remembered on disk, and a damaged note is none', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-memory-'))
  onTestFinished(async () => await rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'revision')
  const clock = new FakeClock()
  let revision = 7
  const open = () => RevisionMemory.open({ file, revision: () => revision, clock, log: silentLog })
  const memory = await open()
  expect(memory.highest).toBe(0)
  const stop = new AbortController()
  const running = memory.run(stop.signal)
  await expect.poll(() => readFile(file, 'utf8').catch(() => '')).toBe('7\n')
  revision = 5
  clock.step(5_000)
  expect((await open()).highest).toBe(7)
  memory.restart(5)
  await expect.poll(() => clock.nextTimerAt).toBeDefined()
  clock.step(5_000)
  await expect.poll(() => readFile(file, 'utf8')).toBe('5\n')
  stop.abort()
  await running
  await writeFile(file, 'half')
  expect((await open()).highest).toBe(0)
})
