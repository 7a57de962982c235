// A machine of its own for a test: a network namespace with a Docker Engine in it, and Skiff's programs run inside.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { etcdBinary, etcdctlBinary } from '../deploy/etcd.ts'
import { findProgram, type RunOptions, type RunResult, run, tryRun, waitFor } from '../deploy/steps.ts'

export const root = resolve(import.meta.dirname, '..')

export interface Machine extends AsyncDisposable {
  readonly name: string
  /** Everything of this machine lies below it; gone at the end. */
  readonly folder: string
  readonly dataDir: string
  readonly kubeconfig: string
  readonly env: NodeJS.ProcessEnv
  /** Runs a program inside; a failure is no error. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<RunResult>
  /** Like `run`, for a program that goes on; the test ends it. */
  spawn(command: string, args: readonly string[]): ChildProcess
  ctl(...args: readonly string[]): Promise<RunResult>
  kubectl(...args: readonly string[]): Promise<RunResult>
  docker(...args: readonly string[]): Promise<RunResult>
  readonly engine: Engine
  /** The body that a URL answers with, from inside; undefined without an answer. */
  get(url: string): Promise<string | undefined>
}

/** `192.0.2.0/24` is for documentation: no route of the real machine can be meant. */
const address = '192.0.2.10'

export interface MachineOptions {
  /** Containers outlive the engine; the default. An engine of a swarm cannot do that. */
  readonly liveRestore?: boolean
  /** The engine's data lies on a disk of this size, in MiB; else on that of the machine. */
  readonly engineDiskMiB?: number
}

export async function createMachine(name: string, options: MachineOptions = {}): Promise<Machine> {
  const folder = mkdtempSync(join(tmpdir(), `skiff-e2e-${name}-`))
  const netns = `skiff-${name}-${process.pid}`
  await makeNamespace(netns)
  const engine = await startEngine(folder, netns, options)
  const dataDir = join(folder, 'skiff')
  const kubeconfig = join(folder, 'home/.skiff/kubeconfig')
  const env: NodeJS.ProcessEnv = {
    HOME: join(folder, 'home'),
    DOCKER_HOST: engine.host,
    SKIFF_DATA_DIR: dataDir,
    SKIFF_ETCD: etcdBinary(),
    SKIFF_ETCDCTL: etcdctlBinary(),
    KUBECONFIG: kubeconfig,
    SKIFF_KUBECONFIG: kubeconfig,
    SKIFF_DEBUG_CHECKS: '1',
  }
  const inside = (command: string, args: readonly string[]): readonly string[] => [`--net=/run/netns/${netns}`, command, ...args]
  const machine: Machine = {
    name,
    folder,
    dataDir,
    kubeconfig,
    env,
    run: (command, args, options = {}) =>
      tryRun('nsenter', inside(command, args), { ...options, env: { ...env, ...options.env } }),
    spawn: (command, args) =>
      spawn('nsenter', inside(command, args), { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] }),
    ctl: (...args) => machine.run(process.execPath, [join(root, 'dist/programs/ctl.mjs'), ...args]),
    kubectl: (...args) => machine.run('kubectl', args),
    docker: (...args) => tryRun('docker', args, { env }),
    engine,
    get: (url) => getInside(machine, url),
    [Symbol.asyncDispose]: async () => {
      await machine.ctl('down', '--purge')
      await engine.stop()
      endShims(folder)
      await removeMounts(folder)
      await tryRun('ip', ['netns', 'delete', netns])
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return machine
}

async function makeNamespace(netns: string): Promise<void> {
  await run('ip', ['netns', 'add', netns])
  const batch = [
    'link set lo up',
    // Some kernels have no dummy device; the other end of the pair leads nowhere.
    'link add eth0 type veth peer name eth0-peer',
    'link set eth0-peer up',
    `addr add ${address}/24 dev eth0`,
    'link set eth0 up',
    'route add default via 192.0.2.1 dev eth0',
  ]
  await run('nsenter', [`--net=/run/netns/${netns}`, 'ip', '-batch', '-'], { input: `${batch.join('\n')}\n` })
}

export interface Engine {
  readonly host: string
  signal(name: NodeJS.Signals): void
  /** Starts it again on the same data, after it was killed. */
  start(): Promise<void>
  stop(): Promise<void>
}

/** Mounts a small disk at a folder below a machine's own; it goes with the machine. */
export async function smallDisk(at: string, mebibytes: number): Promise<void> {
  mkdirSync(at, { recursive: true })
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0711`, 'tmpfs', at])
}

async function startEngine(folder: string, netns: string, options: MachineOptions): Promise<Engine> {
  const { liveRestore = true, engineDiskMiB } = options
  const dockerd = findProgram('dockerd')
  if (dockerd === undefined) throw new Error('dockerd is not installed')
  const at = join(folder, 'engine')
  mkdirSync(at, { recursive: true })
  if (engineDiskMiB !== undefined) await smallDisk(join(at, 'data'), engineDiskMiB)
  const socket = join(at, 'docker.sock')
  const pidFile = join(at, 'docker.pid')
  writeFileSync(join(at, 'daemon.json'), '{}')
  const log = openSync(join(at, 'dockerd.log'), 'a')
  const flags = [
    ...['--config-file', join(at, 'daemon.json')],
    ...['--data-root', join(at, 'data'), '--exec-root', join(at, 'exec'), '--pidfile', pidFile],
    ...['-H', `unix://${socket}`, '--cgroup-parent', `/${netns}`],
    ...(liveRestore ? ['--live-restore'] : []),
    ...['--userland-proxy=false', '--bip', '172.30.0.1/24'],
  ]
  const host = `unix://${socket}`
  const start = async (): Promise<ChildProcess> => {
    const args = [`--net=/run/netns/${netns}`, dockerd, ...flags]
    const child = spawn('nsenter', args, { stdio: ['ignore', log, log], detached: true })
    const isUp = await waitFor(
      30_000,
      async () => (await tryRun('docker', ['version'], { env: { DOCKER_HOST: host } })).code === 0,
    )
    if (!isUp) throw new Error(`dockerd did not come up:\n${readFileSync(join(at, 'dockerd.log'), 'utf8').slice(-2000)}`)
    return child
  }
  let child = await start()
  return {
    host,
    signal: (name) => void child.kill(name),
    start: async () => {
      // A new engine would take the old one's containerd for its own while that is still dying.
      const file = join(at, 'exec/containerd/containerd.pid')
      const pid = existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
      const hasEnded = (): boolean => child.signalCode !== null || child.exitCode !== null
      await waitFor(30_000, async () => hasEnded() && (pid === '' || !existsSync(`/proc/${pid}`)))
      child = await start()
    },
    stop: async () => {
      const { stdout } = await tryRun('docker', ['ps', '-aq'], { env: { DOCKER_HOST: host } })
      const ids = stdout.split('\n').filter((id) => id !== '')
      if (ids.length > 0) await tryRun('docker', ['rm', '-f', ...ids], { env: { DOCKER_HOST: host } })
      child.kill('SIGTERM')
      await waitFor(20_000, async () => !existsSync(pidFile))
      await removeCgroups(netns)
    },
  }
}

/** An engine that was killed may leave supervisors of containers behind, which nobody ends any more. */
function endShims(folder: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      if (command.includes('containerd-shim') && command.includes(`${folder}/`)) process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Leftovers of an engine that ended: overlay and namespace mounts below its folder. */
async function removeMounts(folder: string): Promise<void> {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
  for (const path of mounts.reverse()) await tryRun('umount', ['-l', path])
}

async function removeCgroups(netns: string): Promise<void> {
  for (const hierarchy of readdirSync('/sys/fs/cgroup')) {
    const path = `/sys/fs/cgroup/${hierarchy}/${netns}`
    if (existsSync(path)) await tryRun('find', [path, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', '+'])
  }
}

async function getInside(machine: Machine, url: string): Promise<string | undefined> {
  const code = `fetch(process.argv[1], { signal: AbortSignal.timeout(3000) }).then((r) => r.text()).then((t) => process.stdout.write(t), () => process.exit(1))`
  const result = await machine.run(process.execPath, ['-e', code, url])
  return result.code === 0 ? result.stdout : undefined
}

/** Asks again until `check` gives a value; fails with the last state it told. */
export async function eventually<T>(
  what: string,
  check: (tell: (state: string) => void) => Promise<T | undefined>,
  limitMs = 60_000,
): Promise<T> {
  let state = ''
  const until = performance.now() + limitMs
  for (;;) {
    const result = await check((text) => {
      state = text
    })
    if (result !== undefined) return result
    if (performance.now() > until) throw new Error(`${what}: not within ${limitMs / 1000} s. Last seen:\n${state}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

/** The output of a run that must have gone well. */
export function ok(result: RunResult): string {
  if (result.code !== 0) throw new Error(`exit code ${result.code}:\n${result.stdout}\n${result.stderr}`)
  return result.stdout
}
