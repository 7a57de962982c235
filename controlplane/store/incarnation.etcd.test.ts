import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import { etcdBinary, startTestEtcd } from '../testing/etcd.ts'
import { etcdStore } from './etcd.ts'
import { Incarnation } from './incarnation.ts'
import { electionPrefix, rootPrefix } from './store.ts'

const deps = { clock: systemClock, random: systemRandom, log: silentLog }
const { signal } = new AbortController()
const etcdctl = process.env['SKIFF_ETCDCTL'] ?? join(dirname(etcdBinary), 'etcdctl')

async function ctl(...args: readonly string[]): Promise<void> {
  await promisify(execFile)(etcdctl, args, { env: { ...process.env, ETCDCTL_API: '3' } })
}

/** One term of a leader, with some changes of the store in it. */
async function term(endpoint: string, changes: number): Promise<{ id: string; epoch: number; revision: number }> {
  const store = etcdStore({ ...deps, endpoints: [endpoint] })
  try {
    const leadership = await store.campaign({ key: `${electionPrefix}controlplane`, value: 'me', ttlMs: 2000, signal })
    const position = (opts: { signal: AbortSignal }) => store.position(opts)
    const { id, epoch } = await Incarnation.open({ ...deps, store, fence: leadership.fence, position }, { signal })
    const key = `${rootPrefix}test`
    for (let change = 0; change < changes; change++) {
      const { item } = await store.get(key, { signal })
      const value = new TextEncoder().encode(String(change))
      await store.commit(
        { conditions: [{ key, modRevision: item?.modRevision ?? 0 }], writes: [{ put: key, value }] },
        { signal },
      )
    }
    await leadership.resign()
    const { revision } = await store.position({ signal })
    return { id, epoch, revision }
  } finally {
    store.close()
  }
}

test('a restart of etcd is none, and each restore of a snapshot is another life, with higher epochs', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-restore-'))
  onTestFinished(async () => await rm(folder, { recursive: true, force: true }))
  const snapshot = join(folder, 'snapshot.db')
  const lives: { id: string; epoch: number; revision: number }[] = []
  {
    await using etcd = await startTestEtcd()
    lives.push(await term(etcd.endpoint, 30))
    await etcd.restart()
    const again = await term(etcd.endpoint, 30)
    expect(again.id).toBe(lives[0]?.id)
    await ctl('--endpoints', etcd.endpoint, 'snapshot', 'save', snapshot)
    const last = await term(etcd.endpoint, 30)
    expect(last.id).toBe(again.id)
    lives[0] = last
  }
  for (const name of ['one', 'two']) {
    const data = join(folder, name)
    await ctl('snapshot', 'restore', snapshot, '--data-dir', data)
    await using etcd = await startTestEtcd({ args: ['--data-dir', data] })
    lives.push(await term(etcd.endpoint, 5))
    await etcd.restart()
    expect((await term(etcd.endpoint, 30)).id).toBe(lives.at(-1)?.id)
    await ctl('--endpoints', etcd.endpoint, 'snapshot', 'save', `${snapshot}.${name}`)
  }
  // Restored a second time, from a snapshot of a life that came of a restore itself.
  await ctl('snapshot', 'restore', `${snapshot}.two`, '--data-dir', join(folder, 'three'))
  await using etcd = await startTestEtcd({ args: ['--data-dir', join(folder, 'three')] })
  lives.push(await term(etcd.endpoint, 5))
  const [first, one, two, three] = lives
  expect(new Set(lives.map(({ id }) => id)).size).toBe(4)
  expect(one?.epoch).toBeGreaterThan(first?.epoch ?? 0)
  // Its store had got further before the restore than it is now.
  expect(one?.revision).toBeLessThan(first?.revision ?? 0)
  expect(three?.epoch).toBeGreaterThan(two?.epoch ?? 0)
})
