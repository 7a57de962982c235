// Several control planes on one etcd, each on a host of its own, for tests of elections.
import type { ChildProcess } from 'node:child_process'
import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import type { RunResult } from '../deploy/steps.ts'
import type { EtcdMembers } from './etcd-members.ts'
import type { Host } from './hosts.ts'
import { eventually, type Machine, ok, root } from './machine.ts'

interface Watched {
  readonly child: ChildProcess
  /** Everything that it has said so far. */
  log(): string
  /** The process inside the namespace, to be signalled. */
  pid(): number
}

export interface ControlPlaneProcess extends Watched {
  readonly host: Host
  kubectl(...args: readonly string[]): Promise<RunResult>
}

export interface StartOptions {
  readonly etcd: EtcdMembers
  /** A module to run instead of the built program. */
  readonly program?: string
  readonly flags?: readonly string[]
}

const ports = { api: 6443, gateway: 6444 } as const
const controlPlaneProgram = join(root, 'dist/programs/controlplane.mjs')

/** Starts one, and waits until its API answers. */
export async function startControlPlane(
  host: Host,
  { etcd, program = controlPlaneProgram, flags = [] }: StartOptions,
): Promise<ControlPlaneProcess> {
  const started = watched(host.spawn(process.execPath, [program, 'run', '--data-dir', host.dataDir, ...etcd.flags(), ...flags]))
  const kubeconfig = join(host.dataDir, 'pki', 'admin.kubeconfig')
  const kubectl: ControlPlaneProcess['kubectl'] = (...args) =>
    host.run('kubectl', ['--kubeconfig', kubeconfig, '--server', `https://127.0.0.1:${ports.api}`, ...args])
  await eventually(`the API on ${host.name}`, async (tell) => {
    const result = await kubectl('get', '--raw', '/readyz')
    tell(`${result.stderr}\n${started.log().slice(-1500)}`)
    return result.code === 0 ? true : undefined
  })
  return { ...started, host, kubectl }
}

/** What control planes share: authorities and keys. Before the second one is started. */
export function sharePki(from: Host, to: Host): void {
  mkdirSync(to.dataDir, { recursive: true })
  cpSync(join(from.dataDir, 'pki'), join(to.dataDir, 'pki'), { recursive: true })
}

/** Starts the agent of the machine, which knows all the control planes. */
export async function startAgent(m: Machine, hosts: readonly Host[]): Promise<Watched> {
  const dataDir = join(m.dataDir, 'agent')
  const [issuer] = hosts
  const issue = ['issue-node-cert', '--data-dir', issuer?.dataDir ?? '', '--node-name', 'one', '--out', join(dataDir, 'pki')]
  mkdirSync(dataDir, { recursive: true })
  ok(await m.run(process.execPath, [controlPlaneProgram, ...issue]))
  const options = [
    ...['--data-dir', dataDir, '--node-name', 'one', '--docker-host', m.engine.host],
    ...['--control-planes', hosts.map(({ address }) => `${address}:${ports.gateway}`).join(',')],
  ]
  return watched(m.spawn(process.execPath, [join(root, 'dist/programs/agent.mjs'), 'run', ...options]))
}

/** nsenter becomes the program it runs, so the child's number is the program's. */
function watched(child: ChildProcess): Watched {
  let text = ''
  const keep = (chunk: Buffer): void => {
    text = `${text}${chunk.toString()}`.slice(-200_000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  return { child, log: () => text, pid: () => child.pid ?? 0 }
}
