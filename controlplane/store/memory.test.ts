import { expect, test } from 'vitest'
import { storeConformance } from './conformance.ts'
import { MemoryStore } from './memory.ts'

const shared = new MemoryStore()
storeConformance('memory', () => shared)

test('a leader in memory dies when told, and hears of it unless deaf', async () => {
  const store = new MemoryStore()
  const { signal } = new AbortController()
  const first = await store.campaign({ key: 'k', value: 'a', ttlMs: 1, signal })
  store.loseLeadership('k', { isDeaf: true })
  expect(first.lost.aborted).toBe(false)
  const second = await store.campaign({ key: 'k', value: 'b', ttlMs: 1, signal })
  store.loseLeadership('k')
  expect(second.lost.aborted).toBe(true)
})
