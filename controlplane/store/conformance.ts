import { expect, test } from 'vitest'
import { isExpired } from '../../api/meta/status.ts'
import type { CommitResult, Store, StoreEvent } from './store.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value)

let prefixes = 0

/** What every Store promises. `connect` may give the same store each time: each test has a prefix of its own. */
export function storeConformance(name: string, connect: () => Store): void {
  const scene = () => {
    const store = connect()
    const signal = new AbortController().signal
    const prefix = `/skiff/objects/test-${process.pid}-${prefixes++}/`
    const write = (key: string, value: string, modRevision = 0): Promise<CommitResult> =>
      store.commit(
        { conditions: [{ key: prefix + key, modRevision }], writes: [{ put: prefix + key, value: bytes(value) }] },
        { signal },
      )
    const remove = (key: string, modRevision: number): Promise<CommitResult> =>
      store.commit({ conditions: [{ key: prefix + key, modRevision }], writes: [{ delete: prefix + key }] }, { signal })
    const events = async (afterRevision: number, count: number): Promise<readonly StoreEvent[]> => {
      const seen: StoreEvent[] = []
      for await (const batch of store.watch({ prefix, afterRevision, signal: AbortSignal.timeout(10_000) })) {
        seen.push(...batch.events)
        if (seen.length >= count) break
      }
      return seen
    }
    return { store, signal, prefix, write, remove, events }
  }

  test(`${name}: a put is read back with its revisions`, async () => {
    const { store, signal, prefix, write } = scene()
    const created = await write('a', 'one')
    const updated = await write('a', 'two', created.revision)
    const { item, revision } = await store.get(`${prefix}a`, { signal })
    expect(textOf(item?.value)).toBe('two')
    expect(item).toMatchObject({ key: `${prefix}a`, createRevision: created.revision, modRevision: updated.revision })
    expect(revision).toBeGreaterThanOrEqual(updated.revision)
    expect((await store.get(`${prefix}none`, { signal })).item).toBeUndefined()
  })

  test(`${name}: a failed condition writes nothing and tells what stands there`, async () => {
    const { store, signal, prefix, write } = scene()
    const first = await write('a', 'one')
    const result = await store.commit(
      {
        conditions: [
          { key: `${prefix}a`, modRevision: 0 },
          { key: `${prefix}b`, modRevision: 0 },
        ],
        writes: [
          { put: `${prefix}a`, value: bytes('other') },
          { put: `${prefix}b`, value: bytes('other') },
        ],
      },
      { signal },
    )
    expect(result.committed).toBe(false)
    if (result.committed) return
    expect(result.current.get(`${prefix}a`)).toMatchObject({ modRevision: first.revision })
    expect(result.current.has(`${prefix}b`)).toBe(true)
    expect(result.current.get(`${prefix}b`)).toBeUndefined()
    expect((await store.get(`${prefix}b`, { signal })).item).toBeUndefined()
  })

  test(`${name}: the fence of another leadership refuses a write`, async () => {
    const { store, signal, prefix, write } = scene()
    const leader = await write('leader', 'me')
    const fenced = (createRevision: number, key: string): Promise<CommitResult> =>
      store.commit(
        {
          conditions: [
            { key: prefix + key, modRevision: 0 },
            { key: `${prefix}leader`, createRevision },
          ],
          writes: [{ put: prefix + key, value: bytes('x') }],
        },
        { signal },
      )
    expect((await fenced(leader.revision - 1, 'a')).committed).toBe(false)
    expect((await fenced(leader.revision, 'a')).committed).toBe(true)
  })

  test(`${name}: lists in order, in pages, and in the past`, async () => {
    const { store, signal, prefix, write } = scene()
    for (const key of ['c', 'a', 'b/x', 'b']) await write(key, key)
    const page = await store.list({ prefix, limit: 3, signal })
    expect(page.items.map((item) => item.key)).toEqual(['a', 'b', 'b/x'].map((key) => prefix + key))
    expect(page.remaining).toBe(1)
    await write('d', 'd')
    const after = page.items.at(-1)?.key ?? ''
    const then = await store.list({ prefix, after, revision: page.revision, signal })
    expect(then.items.map((item) => item.key)).toEqual([`${prefix}c`])
    expect(then).toMatchObject({ remaining: 0, revision: page.revision })
    expect((await store.list({ prefix, after, signal })).items).toHaveLength(2)
    const keys = await store.list({ prefix, keysOnly: true, signal })
    expect(keys.items.map((item) => item.value.length)).toEqual([0, 0, 0, 0, 0])
  })

  test(`${name}: a prefix lists nothing of a longer name`, async () => {
    const { store, signal, prefix, write } = scene()
    await write('foo/x', '1')
    await write('foobar/x', '2')
    expect((await store.list({ prefix: `${prefix}foo/`, signal })).items).toHaveLength(1)
  })

  test(`${name}: a watch gives every event once, in order, with the state before`, async () => {
    const { write, remove, events } = scene()
    const one = await write('a', '1')
    const two = await write('a', '2', one.revision)
    const gone = await remove('a', two.revision)
    const seen = await events(one.revision - 1, 3)
    expect(seen.map((event) => [event.type, textOf(event.previous?.value)])).toEqual([
      ['put', undefined],
      ['put', '1'],
      ['delete', '2'],
    ])
    expect(seen[2]).toMatchObject({ modRevision: gone.revision })
    expect(await events(one.revision, 2)).toHaveLength(2)
  })

  test(`${name}: a transaction's events come in one batch`, async () => {
    const { store, signal, prefix } = scene()
    const { revision: before } = await store.get(prefix, { signal })
    const keys = Array.from({ length: 100 }, (_, i) => `${prefix}k${i}`)
    await store.commit(
      {
        conditions: keys.map((key) => ({ key, modRevision: 0 })),
        writes: keys.map((key) => ({ put: key, value: new Uint8Array(5_000) })),
      },
      { signal },
    )
    for await (const batch of store.watch({ prefix, afterRevision: before, signal: AbortSignal.timeout(10_000) })) {
      if (batch.events.length === 0) continue
      expect(batch.events).toHaveLength(100)
      break
    }
  })

  test(`${name}: a watch hears of what happens later, and ends on abort`, async () => {
    const { store, prefix, write, signal } = scene()
    const { revision } = await store.get(prefix, { signal })
    const stop = new AbortController()
    const seen: string[] = []
    const watching = (async () => {
      for await (const batch of store.watch({ prefix, afterRevision: revision, signal: stop.signal })) {
        for (const event of batch.events) seen.push(event.type)
        if (seen.length === 1) stop.abort(new Error('enough'))
      }
    })()
    const ended = expect(watching).rejects.toThrow('enough')
    await write('a', '1')
    await ended
    expect(seen).toEqual(['put'])
  })

  test(`${name}: the past before a compaction is Expired`, async () => {
    const { store, signal, prefix, write, events } = scene()
    const one = await write('a', '1')
    await write('b', '1')
    const last = await write('c', '1')
    await store.compact(last.revision, { signal })
    await store.compact(last.revision, { signal })
    expect(isExpired(await store.list({ prefix, revision: one.revision, signal }).catch((err: unknown) => err))).toBe(true)
    expect(isExpired(await events(one.revision - 1, 1).catch((err: unknown) => err))).toBe(true)
    expect((await store.list({ prefix, signal })).items).toHaveLength(3)
  })

  test(`${name}: too large a value and too many operations are refused by their size`, async () => {
    const { store, signal, prefix } = scene()
    const key = `${prefix}big`
    const put = (value: Uint8Array) =>
      store.commit({ conditions: [{ key, modRevision: 0 }], writes: [{ put: key, value }] }, { signal })
    await expect(put(new Uint8Array(1_500_000))).rejects.toMatchObject({ status: { code: 413 } })
    expect((await put(new Uint8Array(1_400_000))).committed).toBe(true)
    const whole = Array.from({ length: 3 }, (_, i) => ({ put: `${prefix}part${i}`, value: new Uint8Array(600_000) }))
    const sum = { conditions: [{ key: `${prefix}part0`, modRevision: 0 }], writes: whole }
    await expect(store.commit(sum, { signal })).rejects.toThrow(/1800\d{3} bytes/)
    const keys = Array.from({ length: 129 }, (_, i) => `${prefix}k${i}`)
    const many = {
      conditions: [{ key: `${prefix}k0`, modRevision: 0 }],
      writes: keys.map((one) => ({ put: one, value: bytes('') })),
    }
    await expect(store.commit(many, { signal })).rejects.toThrow(/129 operations, and at most 128/)
  })

  test(`${name}: concurrent conditional writers lose no update`, async () => {
    const { store, signal, prefix, write } = scene()
    await write('counter', '0')
    const key = `${prefix}counter`
    const writer = async (): Promise<void> => {
      for (let done = 0; done < 10; ) {
        const { item } = await store.get(key, { signal })
        const next = bytes(String(Number(textOf(item?.value)) + 1))
        const conditions = [{ key, modRevision: item?.modRevision ?? 0 }]
        if ((await store.commit({ conditions, writes: [{ put: key, value: next }] }, { signal })).committed) done++
      }
    }
    await Promise.all(Array.from({ length: 8 }, writer))
    expect(textOf((await store.get(key, { signal })).item?.value)).toBe('80')
  })

  test(`${name}: one leader at a time, and the next after it resigns`, async () => {
    const { store, signal, prefix } = scene()
    const key = `${prefix}leader`
    const first = await store.campaign({ key, value: 'a', ttlMs: 5_000, signal })
    let hasSecond = false
    const second = store.campaign({ key, value: 'b', ttlMs: 5_000, signal }).then((won) => {
      hasSecond = true
      return won
    })
    const { item } = await store.get(key, { signal })
    expect(textOf(item?.value)).toBe('a')
    expect(item?.createRevision).toBe(first.fence.createRevision)
    expect(hasSecond).toBe(false)
    expect(first.lost.aborted).toBe(false)
    await first.resign()
    expect(first.lost.aborted).toBe(true)
    const won = await second
    expect(won.fence.createRevision).toBeGreaterThan(first.fence.createRevision)
    await won.resign()
    expect((await store.get(key, { signal })).item).toBeUndefined()
  })

  test(`${name}: a campaign that is aborted takes nothing`, async () => {
    const { store, signal, prefix } = scene()
    const key = `${prefix}leader`
    const first = await store.campaign({ key, value: 'a', ttlMs: 5_000, signal })
    const stop = new AbortController()
    const second = store.campaign({ key, value: 'b', ttlMs: 5_000, signal: stop.signal })
    stop.abort(new Error('no longer wanted'))
    await expect(second).rejects.toThrow('no longer wanted')
    await first.resign()
    expect((await store.get(key, { signal })).item).toBeUndefined()
  })
}
