import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { parseKubeconfig } from '../../client/kubeconfig.ts'
import { etcdBinary, freePort } from '../../controlplane/testing/etcd.ts'
import { nodeFlagsOf } from '../../ctl/local/programs.ts'
import { message, type Peer, RawConnection } from './raw-https.ts'

const root = resolve(import.meta.dirname, '../..')

export interface ApiCluster extends AsyncDisposable {
  readonly folder: string
  readonly api: Peer
  readonly etcd: Peer
  /** How late the control plane's event loop was since it was asked last, in milliseconds. */
  delay(): Promise<{ readonly p50: number; readonly p99: number }>
}

const startMs = 60_000

/** The real control plane as users run it, with its own etcd, on free ports of the loopback address. */
export async function startApiCluster({ nodeFlags = [] }: { nodeFlags?: readonly string[] } = {}): Promise<ApiCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'skiff-bench-api-'))
  const [apiPort, gatewayPort] = [await freePort(), await freePort()]
  const etcdPort = await freePort()
  const args = [
    ...nodeFlagsOf('controlplane'),
    ...nodeFlags,
    `--import=${join(root, 'bench/api-delay.ts')}`,
    join(root, 'dist/programs/controlplane.mjs'),
    'run',
    `--data-dir=${folder}`,
    '--bind-address=127.0.0.1',
    `--api-port=${apiPort}`,
    `--gateway-port=${gatewayPort}`,
    `--etcd-port=${etcdPort}`,
    `--etcd-binary=${etcdBinary}`,
    '--log-level=warn',
  ]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], cwd: root })
  const end = async (): Promise<void> => {
    await stop(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const api = await untilReady(child, folder)
    const read = (name: string): string => readFileSync(join(folder, 'pki', name), 'utf8')
    const etcd = {
      host: '127.0.0.1',
      port: etcdPort,
      ca: read('etcd-ca.crt'),
      cert: read('etcd-client.crt'),
      key: read('etcd-client.key'),
    }
    return { folder, api, etcd, delay: () => delayOf(child), [Symbol.asyncDispose]: end }
  } catch (err) {
    await end()
    throw err
  }
}

async function untilReady(child: ChildProcess, folder: string): Promise<Peer> {
  const file = join(folder, 'pki/admin.kubeconfig')
  for (const startedMs = performance.now(); performance.now() - startedMs < startMs; await wait(50)) {
    if (child.exitCode !== null) throw new Error(`the control plane ended with ${child.exitCode}`)
    const peer = existsSync(file) ? peerOf(file) : undefined
    if (peer !== undefined && (await isReady(peer))) return peer
  }
  throw new Error(`the control plane was not ready within ${startMs / 1000} s`)
}

function peerOf(file: string): Peer {
  const { server, ca = '', cert = '', key = '' } = parseKubeconfig(readFileSync(file, 'utf8'), { file })
  return { host: '127.0.0.1', port: Number(new URL(server).port), ca, cert, key }
}

/** Bootstrap has made the namespace that everything is then created beside. */
async function isReady(peer: Peer): Promise<boolean> {
  try {
    using connection = await RawConnection.open(peer)
    if ((await connection.request(message('GET', '/readyz'))).code !== 200) return false
    return (await connection.request(message('GET', '/api/v1/namespaces/default/services/kubernetes'))).code === 200
  } catch {
    return false
  }
}

function delayOf(child: ChildProcess): Promise<{ readonly p50: number; readonly p99: number }> {
  return new Promise((done, fail) => {
    child.once('message', done)
    child.send('delay', (err) => {
      if (err !== null) fail(err)
    })
  })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolveEnd) => child.once('exit', () => resolveEnd()))
  child.kill('SIGTERM')
  await ended
}

export const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
