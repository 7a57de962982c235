// Faults of an etcd of one member, which the tests run, under a cluster whose pods run and change. Docker and etcd are
// read past Skiff throughout.
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { etcdctlBinary } from '../deploy/etcd.ts'
import { type EtcdMembers, startEtcdMembers } from './etcd-members.ts'
import { prepareImage, shellPod } from './example-image.ts'
import type { SeenContainer } from './invariants/judge.ts'
import { type Checker, noHarm, startChecker } from './invariants.ts'
import { createMachine, eventually, type Machine, ok, root } from './machine.ts'
import { podTools } from './pod-tools.ts'

const quotaBytes = 16 * 1024 ** 2
/** So short that an eviction for a silence of ours would come while a test still looks. */
const graceMs = 15_000
const tolerationSeconds = 3

let m: Machine
let etcd: EtcdMembers
let checker: Checker
let revisionHistoryLimit = 10
const { apply, ctl, tryApply } = podTools(() => m)

const deployment = (name: string, replicas: number): string =>
  JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          terminationGracePeriodSeconds: 1,
          tolerations: ['not-ready', 'unreachable'].map((key) => ({
            key: `node.kubernetes.io/${key}`,
            operator: 'Exists',
            effect: 'NoExecute',
            tolerationSeconds,
          })),
          containers: [{ name: 'main', image: 'skiff/hello:1', imagePullPolicy: 'IfNotPresent', command: ['sleep', '10000'] }],
        },
      },
    },
  })

beforeAll(async () => {
  m = await createMachine('etcdfaults')
  await prepareImage(m)
  etcd = await startEtcdMembers(m, { names: ['one'], args: [`--quota-backend-bytes=${quotaBytes}`] })
  const env = { SKIFF_CONTROLPLANE_NODE_MONITOR_GRACE_PERIOD: `${graceMs / 1000}s` }
  ok(await m.run(process.execPath, [join(root, 'dist/programs/ctl.mjs'), 'up', ...etcd.flags()], { env }))
  await apply(deployment('steady', 3))
  await apply(deployment('busy', 1))
  await apply(shellPod('bare', 'sleep 10000'))
  checker = await startChecker(m, { name: 'etcd', etcd: etcd.tls() })
})
afterAll(async () => {
  for (const each of [checker, m, etcd]) await each[Symbol.asyncDispose]()
})

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const isBusy = ({ pod }: SeenContainer): boolean => pod.startsWith('default/busy-')

/** Pods come and go all the while; what fails is nothing to anybody. */
async function changing<T>(run: () => Promise<T>): Promise<T> {
  let isOver = false
  const changes = (async () => {
    for (let round = 0; !isOver; round++) {
      await m.ctl('scale', 'deployment/busy', `--replicas=${1 + (round % 3)}`, '--timeout=1s')
      await wait(300)
    }
  })()
  try {
    return await run()
  } finally {
    isOver = true
    await changes
  }
}

/** The control plane does not just stand there: who leads has seen a wish that was made after the fault. */
function led(): () => Promise<boolean> {
  let wished = ''
  return async () => {
    const limit = ++revisionHistoryLimit
    if (wished === '') {
      const patch = ['patch', 'deployment', 'busy', '-p', JSON.stringify({ spec: { revisionHistoryLimit: limit } })]
      const { stdout, code } = await m.kubectl(...patch, '-o', 'jsonpath={.metadata.generation}')
      if (code === 0) wished = stdout
    }
    const path = 'jsonpath={.status.observedGeneration}'
    const seen = await m.ctl('get', 'deployment', 'busy', '-o', path)
    return wished !== '' && Number(seen.stdout) >= Number(wished)
  }
}

const evictions = async (): Promise<number> =>
  (await ctl('get', 'events', '-o', 'jsonpath={.items[*].reason}')).split(' ').filter((reason) => /Evict/.test(reason)).length

const controlPlaneLog = async (): Promise<string> => ok(await m.run('cat', [join(m.dataDir, 'log/controlplane.log')]))
const agentLog = async (): Promise<string> => ok(await m.run('cat', [join(m.dataDir, 'log/agent.log')]))

/** The containers that ran before and do not run now. */
async function ended(before: readonly SeenContainer[] | undefined): Promise<readonly string[]> {
  const now = new Map((await checker.look()).containers?.map((one) => [one.id, one]))
  return (before ?? []).filter(({ id, startedAt }) => now.get(id)?.startedAt !== startedAt).map(({ pod }) => pod)
}

test('etcd killed for three seconds: everything goes on from where it was', async () => {
  const row = await checker.during({
    fault: 'etcd killed (kill -9) for 3 s',
    mayRestart: isBusy,
    alsoWhen: led(),
    act: ({ isOver }) =>
      changing(async () => {
        await etcd.kill('one')
        const asked = performance.now()
        const refused = await m.ctl('get', 'pods', '-o', 'name')
        // Reading goes on from the cache, or says that it cannot; nothing hangs.
        expect(performance.now() - asked).toBeLessThan(20_000)
        expect([0, 1]).toContain(refused.code)
        await wait(3_000)
        etcd.start('one')
        await etcd.healthy()
        isOver()
      }),
  })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
})

test('an etcd that is full: reading and deleting go on, writing is refused with what to do, and nobody is evicted', async () => {
  await apply(JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'one' }, data: { a: 'b' } }))
  const row = await checker.during({
    fault: 'etcd full (NOSPACE) for 23 s, then as docs/operations.md says',
    mayRestart: isBusy,
    alsoWhen: led(),
    act: ({ isOver }) =>
      changing(async () => {
        await fillEtcd()
        const refused = await tryApply(shellPod('late', 'sleep 100'))
        expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/out of space.*etcdctl compact.*alarm disarm/s)])
        expect(await ctl('get', 'pods', '-o', 'name')).toContain('pod/bare')
        ok(await m.ctl('delete', 'configmap', 'one'))
        expect((await m.ctl('get', 'configmap', 'one')).stderr).toContain('not found')
        await wait(graceMs + 1_000 * tolerationSeconds + 5_000)
        await makeSpace()
        isOver()
      }),
  })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
  expect(await evictions()).toBe(0)
})

/** Something else than Skiff uses it up. */
async function fillEtcd(): Promise<void> {
  const input = 'x'.repeat(1_000_000)
  for (let i = 0; i < 40; i++) {
    const put = await etcd.put('junk', input)
    if (put.stderr.includes('database space exceeded')) return
  }
  throw new Error('etcd does not become full')
}

/** The commands of docs/operations.md. */
async function makeSpace(): Promise<void> {
  ok(await etcd.etcdctl('del', 'junk'))
  const status = JSON.parse(ok(await etcd.etcdctl('endpoint', 'status', '--write-out=json'))) as readonly {
    readonly Status: { readonly header: { readonly revision: number } }
  }[]
  ok(await etcd.etcdctl('compact', String(status[0]?.Status.header.revision)))
  ok(await etcd.etcdctl('defrag'))
  ok(await etcd.etcdctl('alarm', 'disarm'))
}

test('an etcd whose disk takes 800 ms for each write is slow, and no more than that', async () => {
  const row = await checker.during({
    fault: 'etcd’s fdatasync delayed by 800 ms, for 15 s',
    mayRestart: isBusy,
    alsoWhen: led(),
    act: ({ isOver }) =>
      changing(async () => {
        const flags = ['-f', '-q', '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:delay_enter=800000']
        const strace = m.spawn('strace', [...flags, '-o', '/dev/null', '-p', String(etcd.pid('one'))])
        try {
          await wait(2_000)
          const begin = performance.now()
          await apply(shellPod('slowly', 'sleep 1000'), '--timeout=60s')
          expect(performance.now() - begin).toBeGreaterThan(800) // Or nothing was delayed.
          await wait(13_000)
        } finally {
          const gone = new Promise((resolve) => strace.once('close', resolve))
          strace.kill('SIGINT')
          await gone
        }
        isOver()
      }),
  })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
})

test('an etcd that comes up empty kills nothing, is told clearly, and its data put back is taken up again', async () => {
  const { containers } = await checker.look()
  const saved = etcd.file('saved')
  const row = await checker.during({
    fault: 'etcd empty for 15 s, then its data put back',
    limitMs: 90_000,
    alsoWhen: led(),
    act: async ({ isOver }) => {
      await etcd.kill('one')
      ok(await m.run('cp', ['-a', etcd.file('one'), saved]))
      etcd.replaceData('one')
      etcd.start('one')
      await etcd.healthy()
      await wait(15_000)
      expect(await ended(containers)).toEqual([])
      expect(await agentLog()).toMatch(/it speaks for cluster/)
      expect(await controlPlaneLog()).toMatch(/the revision of the store went back/)
      await etcd.kill('one')
      etcd.replaceData('one', saved)
      etcd.start('one')
      await etcd.healthy()
      isOver()
    },
  })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
})

test('an etcd that is restored from an older snapshot kills nothing', async () => {
  const snapshot = etcd.file('older.db')
  ok(await etcd.etcdctl('snapshot', 'save', snapshot))
  await apply(shellPod('late', 'sleep 10000'))
  ok(await m.ctl('delete', 'pod', 'bare'))
  const { containers } = await checker.look()
  const row = await checker.during({
    fault: 'etcd restored from an older snapshot',
    limitMs: 90_000,
    alsoWhen: led(),
    // It is made after the snapshot, and removed by `ctl unlisted remove` in the end.
    mayRestart: ({ pod }) => pod === 'default/late',
    mayGo: ({ key }) => key === 'default/late',
    act: async ({ isOver }) => {
      await etcd.kill('one')
      const [peer] = [etcd.endpoints.replace(':2379', ':2380')]
      const flags = ['--name', 'one', '--data-dir', etcd.file('restored'), '--initial-cluster', `one=${peer}`]
      ok(await m.run(etcdctlBinary(), ['snapshot', 'restore', snapshot, ...flags, '--initial-advertise-peer-urls', `${peer}`]))
      etcd.replaceData('one', etcd.file('restored'))
      etcd.start('one')
      await etcd.healthy()
      isOver()
      await eventually(
        'the pod that was deleted later runs again',
        async (tell) => {
          const row = await m.ctl('get', 'pod', 'bare', '--no-headers')
          tell(`${row.stdout}${row.stderr}`)
          return /\sRunning\s/.test(row.stdout) ? true : undefined
        },
        90_000,
      )
      await wait(5_000)
      expect(await ended(containers)).toEqual([])
      await eventually('the pod that the store has forgotten is told', async (tell) => {
        const told = await ctl('unlisted')
        tell(told)
        return /\sdefault\s+late\s/.test(told) ? true : undefined
      })
      const others = (await m.ctl('unlisted', 'remove', 'default/steady')).stderr
      expect(others).toContain('no unlisted pod "default/steady"')
      expect(await ctl('unlisted', 'remove', 'default/late')).toContain('pod "default/late" is gone from node')
      expect((await checker.look()).containers?.filter(({ pod }) => pod === 'default/late')).toEqual([])
      expect(await ctl('unlisted')).toBe('')
    },
  })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
})
