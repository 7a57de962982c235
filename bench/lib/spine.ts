import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { type HttpsTransport, httpsTransport } from '../../client/https-transport.ts'
import { parseKubeconfig } from '../../client/kubeconfig.ts'
import { freePort } from '../../controlplane/testing/etcd.ts'
import { nodeFlagsOf } from '../../ctl/local/programs.ts'
import { systemClock } from '../../lib/clock.ts'
import { wait } from './api-cluster.ts'
import { cpuMsOf } from './processes.ts'

const root = resolve(import.meta.dirname, '../..')
const startMs = 60_000
const drainMs = 20_000

export interface Spine extends AsyncDisposable {
  /** Its data, which the nodes' certificates come from. */
  readonly folder: string
  readonly pid: number
  readonly gatewayPort: number
  readonly transport: HttpsTransport
  /** A number of its metrics, summed over all labels that match. */
  metric(name: string, labels?: string): Promise<number>
  /** Delay of its event loop since this was last asked for, in milliseconds. */
  delay(): Promise<Delay>
}

export interface Delay {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** The built control plane as users run it, as a process of its own, on an etcd that is there already. */
export async function startSpine({
  etcd,
  flags = [],
  nodeFlags = [],
}: {
  etcd: string
  flags?: readonly string[]
  nodeFlags?: readonly string[]
}): Promise<Spine> {
  const folder = mkdtempSync(join(tmpdir(), 'skiff-bench-spine-'))
  const gatewayPort = await freePort()
  const ports = ['--bind-address=127.0.0.1', `--api-port=${await freePort()}`, `--gateway-port=${gatewayPort}`]
  const own = ['run', `--data-dir=${folder}`, ...ports, `--etcd-endpoints=${etcd}`, '--log-level=warn', ...flags]
  const preload = ['--import', join(import.meta.dirname, 'loop-delay.ts')]
  const program = [...nodeFlagsOf('controlplane'), ...preload, ...nodeFlags, join(root, 'dist/programs/controlplane.mjs')]
  const child = spawn(process.execPath, [...program, ...own], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    cwd: root,
  })
  let transport: HttpsTransport | undefined
  const end = async (): Promise<void> => {
    transport?.close()
    await stop(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    transport = await untilReady(child, join(folder, 'pki/admin.kubeconfig'))
    const connected = transport
    const metrics = async (): Promise<string> => String(await connected.get('/metrics', { signal: AbortSignal.timeout(30_000) }))
    return {
      folder,
      gatewayPort,
      pid: child.pid ?? 0,
      transport: connected,
      metric: async (name, labels) => metricIn(await metrics(), name, labels),
      delay: () => delayOf(child),
      [Symbol.asyncDispose]: end,
    }
  } catch (err) {
    await end()
    throw err
  }
}

/** Asks a program that has `loop-delay.ts` loaded. */
export function delayOf(child: ChildProcess): Promise<Delay> {
  return new Promise((done) => {
    child.once('message', (told) => done(told as Delay)) // By loop-delay.ts.
    child.send('delay')
  })
}

function metricIn(text: string, name: string, labels = ''): number {
  const lines = text
    .split('\n')
    .filter((line) => (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) && line.includes(labels))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

async function untilReady(child: ChildProcess, file: string): Promise<HttpsTransport> {
  for (const startedMs = performance.now(); performance.now() - startedMs < startMs; await wait(50)) {
    if (child.exitCode !== null) throw new Error(`the control plane ended with ${child.exitCode}`)
    if (!existsSync(file)) continue
    const transport = httpsTransport({ ...parseKubeconfig(readFileSync(file, 'utf8'), { file }), clock: systemClock })
    try {
      if ((await transport.get('/readyz', { signal: AbortSignal.timeout(5000) })) === 'ok') return transport
    } catch {
      // Not yet.
    }
    transport.close()
  }
  throw new Error(`the control plane was not ready within ${startMs / 1000} s`)
}

/** Ends a process of ours, by force when it does not within its time. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), drainMs)
  await ended
  clearTimeout(timer)
}

/** Of a process, memory in MiB. */
export function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

/** Processor seconds that each process uses while `work` goes on, and how long it takes. */
export async function processorOf<K extends string>(
  pids: Readonly<Record<K, number>>,
  work: () => Promise<void>,
): Promise<{ readonly seconds: number; readonly cpu: Readonly<Record<K, number>> }> {
  const names = Object.keys(pids) as K[]
  const before = names.map((name) => cpuMsOf(pids[name]) ?? Number.NaN)
  const startedMs = performance.now()
  await work()
  const seconds = (performance.now() - startedMs) / 1000
  const used = names.map((name, index) => [name, ((cpuMsOf(pids[name]) ?? Number.NaN) - (before[index] ?? 0)) / 1000])
  return { seconds, cpu: Object.fromEntries(used) as Record<K, number> }
}

/** A table for people: text on the left, numbers on the right. */
export function textTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const pad = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
  return all.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}
