import { expect, test } from 'vitest'
import { fenceMarkOf, markingFences } from './fence-mark.ts'
import { MemoryStore } from './memory.ts'

const { signal } = new AbortController()
const value = new TextEncoder().encode('x')

test('a fenced write leaves its election in the same revision, another one leaves nothing', async () => {
  const plain = new MemoryStore()
  const store = markingFences(plain)
  await store.commit({ conditions: [{ key: '/skiff/a', modRevision: 0 }], writes: [{ put: '/skiff/a', value }] }, { signal })
  expect((await plain.get(fenceMarkOf('/skiff/a'), { signal })).item).toBeUndefined()
  const { fence } = await store.campaign({ key: '/skiff/elections/one', value: 'me', ttlMs: 1_000, signal })
  const conditions = [{ key: '/skiff/b', modRevision: 0 }, fence]
  const result = await store.commit({ conditions, writes: [{ put: '/skiff/b', value }] }, { signal })
  const { item } = await plain.get(fenceMarkOf('/skiff/b'), { signal })
  expect([Buffer.from(item?.value ?? []).toString(), item?.modRevision]).toEqual([String(fence.createRevision), result.revision])
})
