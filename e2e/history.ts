// Who wrote what while who led, judged from etcd's own history. Control planes that run with debug checks leave in each
// fenced write the election in which they believed.
import { createInterface } from 'node:readline'
import { leaderKey } from '../controlplane/core.ts'
import { fenceMarkOf } from '../controlplane/store/fence-mark.ts'
import { etcdctlBinary } from '../deploy/etcd.ts'
import type { EtcdMembers } from './etcd-members.ts'
import { nowMs } from './invariants.ts'
import { eventually, type Machine, ok } from './machine.ts'

/** One key of one revision. */
export interface Change {
  readonly revision: number
  readonly key: string
  /** Undefined: the key went. */
  readonly value: string | undefined
  /** When it was heard of; of the machine's monotonic clock. */
  readonly atMs: number
}

export interface Verdict {
  /** Elections that somebody has won. */
  readonly elections: readonly number[]
  /** Writes that carry a fence. */
  readonly fenced: number
  /** Writes whose writer did not lead when they were made. */
  readonly stale: readonly string[]
  /** Writes to what only controllers, scheduler and gateway write, without a fence. */
  readonly unfenced: readonly string[]
}

/** What no user of the tests writes by himself. */
const ofLeader =
  /^\/skiff\/objects\/(apps\/replicasets|discovery\.k8s\.io\/endpointslices|core\/pods|coordination\.k8s\.io\/leases)\//

const isMark = ({ key, value }: Change): boolean => key.startsWith(fenceMarkOf('')) && value !== undefined

/** Changes in the order of their revisions, from the first one on. */
export function judge(changes: readonly Change[]): Verdict {
  const elections: number[] = []
  const writes: Pick<Verdict, 'fenced' | 'stale' | 'unfenced'>[] = []
  let leads: number | undefined
  for (const [revision, all] of Map.groupBy(changes, (change) => change.revision)) {
    writes.push(judgeOne(all, leads))
    const election = all.find(({ key }) => key === leaderKey)
    if (election === undefined) continue
    leads = election.value === undefined ? undefined : revision
    if (leads !== undefined) elections.push(leads)
  }
  return {
    elections,
    fenced: writes.reduce((sum, { fenced }) => sum + fenced, 0),
    stale: writes.flatMap(({ stale }) => stale),
    unfenced: writes.flatMap(({ unfenced }) => unfenced),
  }
}

/** Of one revision, which several transactions may have, each with a mark of its own. */
function judgeOne(all: readonly Change[], leads: number | undefined): Pick<Verdict, 'fenced' | 'stale' | 'unfenced'> {
  const marks = all.filter(isMark)
  const isMarked = (key: string): boolean => marks.some((mark) => mark.key === fenceMarkOf(key))
  const stale = marks.filter(({ value }) => Number(value) !== leads)
  const unfenced = all.filter(({ key }) => ofLeader.test(key) && !isMarked(key))
  return {
    fenced: marks.length,
    stale: stale.map(({ key, value, revision }) => `${key} at ${revision} believed in ${value}, and ${leads ?? 'nobody'} led`),
    unfenced: unfenced.map(({ key, revision }) => `${key} at ${revision}`),
  }
}

export interface History extends AsyncDisposable {
  readonly changes: readonly Change[]
  /** When a write was first heard of that was made in an election after `after`; waits for it. */
  firstWriteAfter(election: number, limitMs?: number): Promise<number>
  /** The election of the newest fenced write. */
  readonly election: number
  /** Of everything that stands in etcd by now. */
  verdict(): Promise<Verdict>
}

const endKey = '/skiff/end-of-history'

interface WireEvent {
  readonly type?: string | number
  readonly kv: { readonly key: string; readonly value?: string; readonly mod_revision: number }
}
const textOf = (base64: string): string => Buffer.from(base64, 'base64').toString()

/** Follows etcd from its first revision; nothing may be compacted meanwhile. */
export function followHistory(m: Machine, etcd: EtcdMembers): History {
  const connection = ['--endpoints', etcd.endpoints, '--cacert', etcd.file('ca.crt')]
  const identity = ['--cert', etcd.file('client.crt'), '--key', etcd.file('client.key')]
  const watch = ['watch', '--prefix', '/skiff/', '--rev=1', '--write-out=json']
  const child = m.spawn(etcdctlBinary(), [...connection, ...identity, ...watch])
  const changes: Change[] = []
  if (child.stdout === null) throw new Error('etcdctl has no output')
  createInterface({ input: child.stdout }).on('line', (line) => {
    const atMs = nowMs()
    const { Events = [] } = JSON.parse(line) as { readonly Events?: readonly WireEvent[] | null }
    for (const { type, kv } of Events ?? []) {
      const isDelete = type === 1 || type === 'DELETE'
      const value = isDelete ? undefined : textOf(kv.value ?? '')
      changes.push({ revision: kv.mod_revision, key: textOf(kv.key), value, atMs })
    }
  })
  const marks = (): readonly Change[] => changes.filter(isMark)
  return {
    changes,
    get election() {
      return Number(marks().at(-1)?.value ?? 0)
    },
    firstWriteAfter: (election, limitMs) =>
      eventually(
        `a write of an election after ${election}`,
        async (tell) => {
          tell(`${marks().at(-1)?.value}`)
          return marks().find(({ value }) => Number(value) > election)?.atMs
        },
        limitMs,
      ),
    async verdict() {
      const token = String(nowMs())
      ok(await etcd.etcdctl('put', endKey, token))
      await eventually('all of the history', async () =>
        changes.some(({ key, value }) => key === endKey && value === token) ? true : undefined,
      )
      return judge(changes)
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('close', resolve))
      child.kill('SIGKILL')
      await ended
    },
  }
}
