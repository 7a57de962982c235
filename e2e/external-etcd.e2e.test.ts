// An etcd cluster that somebody else runs: three members, reached over TLS with certificates of its own authority.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EtcdMembers, startEtcdMembers } from './etcd-members.ts'
import { prepareImage, shellPod } from './example-image.ts'
import { type Checker, noHarm, startChecker } from './invariants.ts'
import { createMachine, type Machine, ok } from './machine.ts'
import { podTools } from './pod-tools.ts'

let m: Machine
const { apply, ctl } = podTools(() => m)
const names = ['one', 'two', 'three']
let etcd: EtcdMembers
let checker: Checker

beforeAll(async () => {
  m = await createMachine('etcd')
  await prepareImage(m)
  etcd = await startEtcdMembers(m, { names })
})
afterAll(async () => {
  await checker[Symbol.asyncDispose]()
  await m[Symbol.asyncDispose]()
  await etcd[Symbol.asyncDispose]()
})

test('wrong files and wrong authorities are told, and nothing is left running', async () => {
  const missing = await m.ctl('up', `--etcd-endpoints=${etcd.endpoints}`, '--etcd-ca=/nowhere/ca.crt')
  expect([missing.code, missing.stderr]).toEqual([1, 'error: --etcd-ca: cannot read "/nowhere/ca.crt"\n'])
  const half = await m.ctl(
    'up',
    `--etcd-endpoints=${etcd.endpoints}`,
    `--etcd-ca=${etcd.file('ca.crt')}`,
    `--etcd-cert=${etcd.file('client.crt')}`,
  )
  expect([half.code, half.stderr]).toEqual([1, expect.stringContaining('--etcd-cert and --etcd-key belong together')])
  for (const pair of [etcd.flags('foreign'), etcd.flags('client', 'other.crt')]) {
    const refused = await m.ctl('up', '--timeout=5s', ...pair)
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/etcd.*(certificate|TLS|handshake|authority)/i)])
    ok(await m.ctl('down'))
  }
})

test('ctl up with an etcd of one’s own: no etcd is started, and what is applied lies in it', async () => {
  ok(await m.ctl('up', ...etcd.flags()))
  await apply(shellPod('first', 'sleep 1000'))
  expect(ok(await etcd.etcdctl('get', '--prefix', '--keys-only', '/skiff/'))).toContain('/default/first')
  expect(ok(await m.run('ls', [m.dataDir]))).not.toMatch(/^etcd$/m)
  checker = await startChecker(m, { name: 'etcd-members', etcd: etcd.tls() })
})

/** Whether the other members follow this one. */
async function isLeading(name: string): Promise<boolean> {
  const members = JSON.parse(ok(await etcd.etcdctl('endpoint', 'status', '--write-out=json'))) as readonly {
    readonly Status: { readonly leader: number; readonly header: { readonly member_id: number } }
  }[]
  const status = members[names.indexOf(name)]?.Status
  return status !== undefined && status.leader === status.header.member_id
}

test.each(names)('member %s may die and come back: writing goes on, and nothing comes to harm', async (name) => {
  const row = await checker.during({
    fault: `etcd’s member "${name}" of three killed (kill -9), ${(await isLeading(name)) ? 'their leader' : 'a follower'}`,
    act: async () => {
      await etcd.kill(name)
      await apply(shellPod(`without-${name}`, 'sleep 1000'), '--timeout=40s')
      expect(await ctl('get', 'nodes', '--no-headers')).toMatch(/\sReady\s/)
    },
  })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
  etcd.start(name)
  await etcd.healthy()
})

test('ctl down and up again need no flags, and leave the cluster and the containers alone', async () => {
  ok(await m.ctl('down'))
  expect((await etcd.etcdctl('endpoint', 'health')).code).toBe(0)
  ok(await m.ctl('up'))
  const restarts = '{.items[*].status.containerStatuses[*].restartCount}'
  expect(await ctl('get', 'pods', '-o', `jsonpath=${restarts}`)).toBe('0 0 0 0')
})

test('ctl down --purge leaves the etcd alone, and says what lies in it', async () => {
  const said = ok(await m.ctl('down', '--purge'))
  expect(said).toContain(`what Skiff wrote to the etcd at ${etcd.endpoints} stays`)
  expect(said).toContain('etcdctl del --prefix /skiff/')
  expect(ok(await etcd.etcdctl('get', '--prefix', '--keys-only', '/skiff/'))).toContain('/default/first')
})
