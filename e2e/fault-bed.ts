// What tests of faults share: a machine on which the example runs, and the checker that watches it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { expect } from 'vitest'
import { leaderKey } from '../controlplane/core.ts'
import { etcdctlBinary } from '../deploy/etcd.ts'
import { prepareImage } from './example-image.ts'
import type { SeenContainer } from './invariants/judge.ts'
import type { FaultRow } from './invariants/rows.ts'
import { type Checker, type Fault, noHarm, startChecker } from './invariants.ts'
import { createMachine, type Machine, type MachineOptions, ok, root } from './machine.ts'

export interface FaultBed extends AsyncDisposable {
  readonly m: Machine
  readonly checker: Checker
  /** The fault must do no harm, and everything must be well again within its limit. Gives the row. */
  harmless(fault: Fault): Promise<FaultRow>
  /** A running container of the example: one that has not been hit yet, for the next restart of such a one would have to wait. */
  victim(container: 'web' | 'POD'): Promise<SeenContainer>
  kubectl(...args: readonly string[]): Promise<string>
  apply(manifest: string): Promise<void>
  agentPid(): number
  /** Changes with each leader; empty without one. */
  election(): Promise<string>
  killAgent(): void
}

export interface BedOptions extends MachineOptions {
  /** Names the machine and the table of rows. */
  readonly name: string
  readonly replicas?: number
  /** Done before Skiff is started. */
  readonly prepare?: (m: Machine) => Promise<unknown>
  readonly upFlags?: (m: Machine) => readonly string[]
}

export async function makeBed({ name, replicas = 3, prepare, upFlags = () => [], ...options }: BedOptions): Promise<FaultBed> {
  const m = await createMachine(name, options)
  await prepareImage(m)
  await prepare?.(m)
  ok(await m.ctl('up', '--node-name', 'one', ...upFlags(m)))
  const manifest = readFileSync(join(root, 'manifests/hello.yaml'), 'utf8').replace('replicas: 3', `replicas: ${replicas}`)
  ok(await m.run(process.execPath, [join(root, 'dist/programs/ctl.mjs'), 'apply', '-f', '-'], { input: manifest }))
  const checker = await startChecker(m, { name })
  const hit = new Set<string>()
  const agentPid = (): number => Number(readFileSync(join(m.dataDir, 'run/agent.pid'), 'utf8').split(' ')[0])
  const answers = async (): Promise<boolean> => ((await m.get('http://127.0.0.1:30080/')) ?? '').startsWith('Hello')
  return {
    m,
    checker,
    agentPid,
    killAgent: () => void process.kill(agentPid(), 'SIGKILL'),
    election: async () => {
      const at = (name: string): string => join(m.dataDir, 'pki', name)
      const tls = ['--cacert', at('etcd-ca.crt'), '--cert', at('etcd-client.crt'), '--key', at('etcd-client.key')]
      const args = ['--endpoints', 'https://127.0.0.1:6445', ...tls, 'get', leaderKey, '-w', 'json']
      const { kvs = [] } = JSON.parse(ok(await m.run(etcdctlBinary(), args))) as {
        readonly kvs?: readonly { readonly create_revision: number }[]
      }
      return kvs.map(({ create_revision: revision }) => String(revision)).join()
    },
    kubectl: async (...args) => ok(await m.kubectl(...args)),
    apply: async (text) => void ok(await m.run('kubectl', ['apply', '-f', '-'], { input: text })),
    victim: async (wanted) => {
      const all = (await checker.look()).containers ?? []
      const found = all.find(({ container, state, podUid }) => container === wanted && state === 'running' && !hit.has(podUid))
      if (found === undefined) throw new Error(`no container "${wanted}" that was not hit yet`)
      hit.add(found.podUid)
      return found
    },
    harmless: async (fault) => {
      const row = await checker.during({ alsoWhen: answers, ...fault })
      expect(row).toMatchObject({ ...noHarm, problems: [] })
      expect(row.seconds).toBeDefined()
      return row
    },
    [Symbol.asyncDispose]: async () => {
      await checker[Symbol.asyncDispose]()
      await m[Symbol.asyncDispose]()
    },
  }
}
