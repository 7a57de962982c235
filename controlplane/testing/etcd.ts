import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

export interface TestEtcd extends AsyncDisposable {
  readonly endpoint: string
  readonly port: number
  /** Like a power cut, and starts again on the same data. */
  restart(): Promise<void>
  /** Starts again without any data. */
  wipe(): Promise<void>
  /** Resolves when it has had its effect. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): Promise<void>
}

/** The etcd that set-up has brought, or the one that SKIFF_ETCD names. */
export const etcdBinary = process.env['SKIFF_ETCD'] ?? join(import.meta.dirname, '../../.cache/etcd/etcd')

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  if (address === null || typeof address === 'string') throw new Error('a listening server has a port')
  return address.port
}

/** A real etcd of its own, without TLS, that loses nothing but is gone with its folder at the end. */
export async function startTestEtcd({ args = [] }: { args?: readonly string[] } = {}): Promise<TestEtcd> {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-etcd-'))
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const peer = `http://127.0.0.1:${await freePort()}`
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(etcdBinary, [...etcdArgs({ folder, endpoint, peer }), ...args], { stdio: 'ignore' })
    await untilHealthy(endpoint, child)
    return child
  }
  let child = await start()
  return {
    endpoint,
    port,
    async signal(name) {
      child.kill(name)
      // It stops thread by thread, and could answer meanwhile.
      const isStopped = (): boolean => /\) T /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8'))
      while (isStopped() !== (name === 'SIGSTOP')) await wait(5)
    },
    async restart() {
      await end(child)
      child = await start()
    },
    async wipe() {
      await end(child)
      await rm(folder, { recursive: true, force: true })
      child = await start()
    },
    async [Symbol.asyncDispose]() {
      await end(child)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function etcdArgs({ folder, endpoint, peer }: { folder: string; endpoint: string; peer: string }): string[] {
  return [
    ['--name', 'test'],
    ['--data-dir', folder],
    ['--listen-client-urls', endpoint],
    ['--advertise-client-urls', endpoint],
    ['--listen-peer-urls', peer],
    ['--initial-advertise-peer-urls', peer],
    ['--initial-cluster', `test=${peer}`],
    ['--log-level', 'error'],
  ].flat()
}

async function untilHealthy(endpoint: string, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}`)
    const isHealthy = await fetch(`${endpoint}/health`, { signal: AbortSignal.timeout(1000) }).then(
      (response) => response.ok,
      () => false,
    )
    if (isHealthy) return
    await wait(50)
  }
  throw new Error(`etcd at ${endpoint} was not healthy within 15 s`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGKILL')
  await exited
}
