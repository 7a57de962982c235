import { expect, test } from 'vitest'
import { ConfigMap } from '../api/kinds/config-map.ts'
import type { WatchBatch, WatchEvent } from '../api/meta/request.ts'
import { expired } from '../api/meta/status.ts'
import { FakeClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { BoundedQueue } from '../lib/queue.ts'
import { seededRandom } from '../lib/random.ts'
import type { Client } from './client.ts'
import { type Change, createInformer } from './informer.ts'

const made = (name: string, revision: number, uid = name): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'x', name, uid, resourceVersion: String(revision) },
})

/** A script of what a server would say, one watch after another; and what it was asked. */
function scripted(lists: readonly { items: readonly ConfigMap[]; revision: number }[]) {
  const watches: BoundedQueue<WatchBatch<ConfigMap>>[] = []
  const asked: string[] = []
  let listed = 0
  const client = {
    async list() {
      const { items, revision } = lists[Math.min(listed++, lists.length - 1)] ?? { items: [], revision: 1 }
      asked.push('list')
      return { apiVersion: 'v1', kind: 'ConfigMapList', metadata: { resourceVersion: String(revision) }, items }
    },
    watch(_kind: unknown, { resourceVersion, signal }: { resourceVersion?: string; signal: AbortSignal }) {
      asked.push(`watch ${resourceVersion}`)
      const queue = new BoundedQueue<WatchBatch<ConfigMap>>(100)
      watches.push(queue)
      return queue.read({ signal })
    },
  } as unknown as Pick<Client, 'list' | 'watch'>
  return { client, watches, asked }
}

async function started(lists: Parameters<typeof scripted>[0]) {
  const script = scripted(lists)
  const clock = new FakeClock()
  const informer = createInformer({ kind: ConfigMap, client: script.client, clock, random: seededRandom(1), log: silentLog })
  const stop = new AbortController()
  const changes: string[] = []
  informer.onChange((change: Change<ConfigMap>) => {
    const { old, new: now } = change
    changes.push(`${old?.metadata.uid ?? '-'}>${now?.metadata.uid ?? '-'}`)
  })
  const running = informer.run(stop.signal)
  const breathe = async (ms = 0): Promise<void> => {
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
    clock.step(ms)
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
  }
  await breathe()
  const end = async (): Promise<void> => {
    stop.abort()
    await running
  }
  return { ...script, informer, changes, breathe, end, signal: stop.signal }
}

const event = (type: WatchEvent['type'], object: ConfigMap) => ({ type, object })

test('a cut watch goes on where it was, without listing again', async () => {
  const { informer, watches, asked, breathe, changes, end } = await started([{ items: [made('a', 3)], revision: 5 }])
  watches[0]?.push({ events: [event('ADDED', made('b', 7))], revision: 8 })
  await breathe()
  watches[0]?.fail(new Error('cut'))
  await breathe(1000)
  watches[1]?.push({ events: [event('DELETED', made('a', 9))], revision: 9 })
  await breathe()
  expect(asked).toEqual(['list', 'watch 5', 'watch 8'])
  expect(informer.list().map((one) => one.metadata.name)).toEqual(['b'])
  expect(changes).toEqual(['->a', '->b', 'a>-'])
  expect(informer.revision).toBe(9)
  await end()
})

test('a store that was set back is followed from where it is now, and until then nothing counts as seen', async () => {
  const { informer, watches, asked, breathe, changes, end, signal } = await started([
    { items: [made('a', 30)], revision: 50 },
    { items: [made('b', 3)], revision: 4 },
  ])
  watches[0]?.fail(expired('it was set back'))
  await breathe()
  let isSeen = false
  const seen = informer.waitFor(2, { signal }).then(() => {
    isSeen = true
  })
  await breathe()
  expect([isSeen, informer.hasSynced]).toEqual([false, false])
  await breathe(1000)
  await seen
  expect(asked).toEqual(['list', 'watch 50', 'list', 'watch 4'])
  expect([informer.revision, changes]).toEqual([4, ['->a', '->b', 'a>-']])
  await end()
})

test('when the past is gone it lists again and tells what differs, also an object made anew under its name', async () => {
  const { informer, watches, asked, breathe, changes, end } = await started([
    { items: [made('a', 3), made('b', 3), made('c', 3)], revision: 5 },
    { items: [made('a', 3), made('b', 20, 'b2')], revision: 30 },
  ])
  changes.length = 0
  watches[0]?.fail(expired('too old'))
  await breathe(1000)
  expect(asked).toEqual(['list', 'watch 5', 'list', 'watch 30'])
  expect(changes).toEqual(['b>-', '->b2', 'c>-'])
  expect(informer.get('x/b')?.metadata.uid).toBe('b2')
  await end()
})

test('waiting for a revision ends when it is reached, by whatever kind of progress', async () => {
  const { informer, watches, breathe, end, signal } = await started([{ items: [], revision: 5 }])
  let reached = 0
  const waiting = informer.waitFor(12, { signal }).then(() => {
    reached = informer.revision
  })
  watches[0]?.push({ events: [], revision: 11 })
  await breathe()
  expect(reached).toBe(0)
  watches[0]?.push({ events: [], revision: 13 })
  await waiting
  expect(reached).toBe(13)
  await end()
})

test('waiting ends with its signal', async () => {
  const { informer, end } = await started([{ items: [], revision: 5 }])
  const give = new AbortController()
  const waiting = informer.waitFor(99, { signal: give.signal })
  give.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  await end()
})
