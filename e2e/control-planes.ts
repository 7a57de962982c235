// Several control planes on one etcd, as processes of their own, for tests of elections.
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { eventually, type Machine, ok, root } from './machine.ts'

export interface ControlPlaneProcess {
  readonly child: ChildProcess
  readonly apiPort: number
  readonly gatewayPort: number
  /** Everything that it has said so far. */
  log(): string
  /** The process inside the namespace, to be signalled. */
  pid(): number
}

export interface StartOptions {
  readonly apiPort: number
  readonly gatewayPort: number
  /** The first one runs etcd; the others are given its endpoint. */
  readonly ownEtcd: boolean
}

/** Starts one with the data folder, and so the certificates and keys, of the machine, and waits until its API answers. */
export async function startControlPlane(
  m: Machine,
  { apiPort, gatewayPort, ownEtcd }: StartOptions,
): Promise<ControlPlaneProcess> {
  const pki = join(m.dataDir, 'pki')
  const etcd = ownEtcd
    ? ['--etcd-port', '6445']
    : [
        ...['--etcd-endpoints', 'https://127.0.0.1:6445', '--etcd-ca', join(pki, 'etcd-ca.crt')],
        ...['--etcd-cert', join(pki, 'etcd-client.crt'), '--etcd-key', join(pki, 'etcd-client.key')],
      ]
  const program = join(root, 'dist/programs/controlplane.mjs')
  const ports = ['--data-dir', m.dataDir, '--api-port', String(apiPort), '--gateway-port', String(gatewayPort)]
  const started = watched(m.spawn(process.execPath, [program, 'run', ...ports, ...etcd]))
  const kubeconfig = join(pki, 'admin.kubeconfig')
  await eventually(`the API on port ${apiPort}`, async (tell) => {
    const server = `https://127.0.0.1:${apiPort}`
    const result = await m.run('kubectl', ['--kubeconfig', kubeconfig, '--server', server, 'get', '--raw', '/readyz'])
    tell(`${result.stderr}\n${started.log().slice(-1500)}`)
    return result.code === 0 ? true : undefined
  })
  return { ...started, apiPort, gatewayPort }
}

/** Starts the agent of the machine, which knows all the control planes. */
export async function startAgent(
  m: Machine,
  gatewayPorts: readonly number[],
): Promise<{ readonly child: ChildProcess; log(): string; pid(): number }> {
  const dataDir = join(m.dataDir, 'agent')
  const issue = ['issue-node-cert', '--data-dir', m.dataDir, '--node-name', 'one', '--out', join(dataDir, 'pki')]
  ok(await m.run(process.execPath, [join(root, 'dist/programs/controlplane.mjs'), ...issue]))
  const addresses = gatewayPorts.map((port) => `127.0.0.1:${port}`).join(',')
  const options = [
    '--data-dir',
    dataDir,
    '--node-name',
    'one',
    '--control-planes',
    addresses,
    '--docker-host',
    m.env['DOCKER_HOST'] ?? '',
  ]
  return watched(m.spawn(process.execPath, [join(root, 'dist/programs/agent.mjs'), 'run', ...options]))
}

/** nsenter becomes the program it runs, so the child's number is the program's. */
function watched(child: ChildProcess): { readonly child: ChildProcess; log(): string; pid(): number } {
  let text = ''
  const keep = (chunk: Buffer): void => {
    text = `${text}${chunk.toString()}`.slice(-200_000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  return { child, log: () => text, pid: () => child.pid ?? 0 }
}

/** kubectl at one of the control planes. */
export const kubectlAt = (m: Machine, { apiPort }: { readonly apiPort: number }, ...args: readonly string[]) =>
  m.run('kubectl', [
    '--kubeconfig',
    join(m.dataDir, 'pki', 'admin.kubeconfig'),
    '--server',
    `https://127.0.0.1:${apiPort}`,
    ...args,
  ])
