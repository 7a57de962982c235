// Two control planes on hosts of their own, an etcd and a node beside them: who leads is frozen, killed and cut off.
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ControlPlaneProcess, sharePki, startAgent, startControlPlane } from './control-planes.ts'
import { type EtcdMembers, startEtcdMembers } from './etcd-members.ts'
import { prepareImage } from './example-image.ts'
import { followHistory, type History } from './history.ts'
import { createHost, type Host } from './hosts.ts'
import { type Checker, noHarm, nowMs, startChecker } from './invariants.ts'
import { createMachine, eventually, type Machine, ok, root } from './machine.ts'

let m: Machine
let hosts: readonly [Host, Host]
let etcd: EtcdMembers
let history: History
let checker: Checker
let agent: Awaited<ReturnType<typeof startAgent>>
/** Who leads, and the other one. */
let leader: ControlPlaneProcess
let other: ControlPlaneProcess
let replicas = 3
const figures: Record<string, unknown>[] = []

beforeAll(async () => {
  m = await createMachine('two')
  await prepareImage(m)
  hosts = [await createHost(m, 1), await createHost(m, 2)]
  etcd = await startEtcdMembers(m, { names: ['one'] })
  history = followHistory(m, etcd)
  leader = await startControlPlane(hosts[0], { etcd })
  await says(leader, 'leading')
  sharePki(...hosts)
  other = await startControlPlane(hosts[1], { etcd })
  agent = await startAgent(m, hosts)
  ok(await other.kubectl('apply', '-f', join(root, 'manifests/hello.yaml')))
  await ready(other)
  checker = await startChecker(m, { name: 'control-planes', etcd: etcd.tls() })
})
afterAll(async () => {
  process.stdout.write(`${figures.map((figure) => JSON.stringify(figure)).join('\n')}\n`)
  agent.child.kill('SIGKILL')
  for (const each of [checker, history, etcd, ...hosts, m]) await each[Symbol.asyncDispose]()
})

const says = (at: ControlPlaneProcess, message: string, since = 0): Promise<true> =>
  eventually(`${at.host.name} says "${message}"`, async (tell) => {
    tell(at.log().slice(-3000))
    return at.log().slice(since).includes(`"message":"${message}"`) ? true : undefined
  })

/** When it last said so, in milliseconds since 1970. */
function saidMs(at: ControlPlaneProcess, message: string): number {
  const line = at
    .log()
    .split('\n')
    .findLast((one) => one.includes(`"message":"${message}"`))
  return Date.parse((JSON.parse(line ?? '{}') as { readonly time?: string }).time ?? '')
}

const ready = async (at: ControlPlaneProcess): Promise<void> => {
  const count = `--for=jsonpath={.status.readyReplicas}=${replicas}`
  ok(await at.kubectl('wait', '-n', 'hello', 'deployment/hello', count, '--timeout=90s'))
}

/** Work for who leads, given to the API of `at`. */
async function more(at: ControlPlaneProcess): Promise<void> {
  replicas++
  ok(await at.kubectl('scale', 'deployment/hello', '-n', 'hello', `--replicas=${replicas}`))
}

interface Strike {
  readonly fault: string
  readonly act: (leader: ControlPlaneProcess) => Promise<void>
  /** Afterwards, when the other one has done the work; gives who goes on in its place. */
  readonly back: (was: ControlPlaneProcess) => Promise<ControlPlaneProcess>
}

/** The leader is struck; the other one has to take over, with the node, and nothing may come to harm. */
async function takeOver({ fault, act, back }: Strike): Promise<void> {
  const { election } = history
  const [was, next] = [leader, other]
  let acts = 0
  const row = await checker.during({
    fault,
    limitMs: 90_000,
    act: async () => {
      const fromMs = nowMs()
      await act(was)
      await more(next)
      acts = (await history.firstWriteAfter(election)) - fromMs
      await ready(next)
      other = await back(was)
      leader = next
    },
  })
  figures.push({ fault, nextActsAfterSeconds: acts / 1000, recoveredAfterSeconds: row.seconds })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
  // 5 s on a machine of one's own: a lease of 4 s, and half a second until etcd sees its end. Nothing may take a minute.
  expect(acts).toBeLessThan(30_000)
}

test('both serve, one leads, and logs and exec work at both', async () => {
  expect(other.log()).not.toContain('"message":"leading"')
  const [pod = ''] = ok(await other.kubectl('get', 'pods', '-n', 'hello', '-o', 'jsonpath={.items[*].metadata.name}')).split(' ')
  for (const at of [leader, other]) {
    expect(ok(await at.kubectl('exec', '-n', 'hello', pod, '--', 'hostname'))).toBe(`${pod}\n`)
    const failed = await at.kubectl('exec', '-n', 'hello', pod, '--', 'sh', '-c', 'echo oops >&2; exit 7')
    expect([failed.code, failed.stderr]).toEqual([7, expect.stringContaining('oops')])
  }
  const logs = await Promise.all([leader, other].map((at) => at.kubectl('logs', '-n', 'hello', pod)))
  expect(ok(logs[0] as never)).not.toBe('')
  expect(logs[1]?.stdout).toBe(logs[0]?.stdout)
})

test('a frozen leader is replaced, and what it does when it wakes changes nothing', async () => {
  await takeOver({
    fault: 'leader frozen (SIGSTOP), woken when another leads',
    act: async ({ pid }) => void process.kill(pid(), 'SIGSTOP'),
    async back(was) {
      process.kill(was.pid(), 'SIGCONT')
      await says(was, 'no longer leading')
      return was
    },
  })
})

test('a killed leader is replaced, the node follows, and nothing restarts', async () => {
  await takeOver({
    fault: 'leader killed (kill -9)',
    act: async ({ pid }) => void process.kill(pid(), 'SIGKILL'),
    back: ({ host }) => startControlPlane(host, { etcd }),
  })
})

test.each([
  ['both', 'leader cut off, both ways'],
  ['in', 'leader cut off, nothing reaches it'],
  ['out', 'leader cut off, nothing comes from it'],
] as const)(
  'a leader whose network is cut (%s) is replaced, stops before the next one begins, and joins again',
  async (way, fault) => {
    const [was, next] = [leader, other]
    await takeOver({
      fault,
      act: () => was.host.cut(way),
      async back() {
        await says(was, 'no longer leading')
        expect(saidMs(was, 'no longer leading')).toBeLessThanOrEqual(saidMs(next, 'leading'))
        await was.host.heal()
        // It serves what was written without it.
        await eventually('the cut one knows of everything', async (tell) => {
          const path = ['-o', 'jsonpath={.spec.replicas}']
          const seen = await was.kubectl('get', 'deployment', 'hello', '-n', 'hello', ...path)
          tell(`${seen.stdout}\n${seen.stderr}`)
          return seen.stdout === String(replicas) ? true : undefined
        })
        return was
      },
    })
  },
)

test('a delete at which etcd is compacted while a control plane is cut off does not live on in its cache', async () => {
  const [cut, sees] = [other, leader]
  const names = async (at: ControlPlaneProcess): Promise<string> =>
    ok(await at.kubectl('get', 'configmaps', '-n', 'hello', '-o', 'name'))
  for (const name of ['ghost', 'kept']) ok(await sees.kubectl('create', 'configmap', name, '-n', 'hello'))
  await eventually('both have it', async () => ((await names(cut)).includes('ghost') ? true : undefined))
  const row = await checker.during({
    fault: 'compacted at a delete, a control plane cut off, etcd killed',
    act: async ({ isOver }) => {
      await cut.host.cut('both')
      ok(await sees.kubectl('delete', 'configmap', 'ghost', '-n', 'hello'))
      const gone = await eventually('the delete in the history', async () =>
        history.changes.findLast(({ key, value }) => key.endsWith('/hello/ghost') && value === undefined),
      )
      ok(await etcd.etcdctl('compact', String(gone.revision)))
      // Its connections end with it; otherwise the cut one would find what it missed in them.
      await etcd.kill('one')
      etcd.start('one')
      await etcd.healthy()
      await cut.host.heal()
      isOver()
    },
    alsoWhen: async () => !(await cut.kubectl('get', 'configmaps', '-n', 'hello', '-o', 'name')).stdout.includes('ghost'),
  })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
  expect(await names(cut)).toBe(await names(sees))
})

test('by the history of etcd nobody wrote who did not lead', async () => {
  const { elections, fenced, stale, unfenced } = await history.verdict()
  expect({ stale, unfenced }).toEqual({ stale: [], unfenced: [] })
  expect(elections.length).toBeGreaterThanOrEqual(6)
  expect(fenced).toBeGreaterThan(50)
  figures.push({ elections: elections.length, fenced, stale: stale.length, unfenced: unfenced.length })
})

test('a control plane that forgets its fence is found by that history, and the node refuses its older epoch', async () => {
  other.child.kill('SIGKILL')
  const planted = await startControlPlane(other.host, { etcd, program: join(root, 'e2e/unfenced-control-plane.ts') })
  leader.child.kill('SIGKILL')
  await says(planted, 'leading')
  const next = await startControlPlane(leader.host, { etcd })
  process.kill(planted.pid(), 'SIGSTOP')
  await says(next, 'leading')
  await more(next)
  await ready(next)
  process.kill(planted.pid(), 'SIGCONT')
  await more(planted)
  await eventually('a write that nobody was to make', async () => ((await history.verdict()).stale.length > 0 ? true : undefined))
  await ready(next)
  const since = agent.log().length
  next.child.kill('SIGKILL')
  await eventually('the node refuses the older epoch', async (tell) => {
    tell(agent.log().slice(since))
    return /is older than .*refusing a control plane/.test(agent.log().slice(since)) ? true : undefined
  })
  ;[leader, other] = [planted, next]
})
