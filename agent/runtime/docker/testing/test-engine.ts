// A Docker Engine of its own in a network namespace of its own, for tests that must not touch the machine's.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { systemClock } from '../../../../lib/clock.ts'
import { createRunCommand, mustRun, type RunCommand } from '../../../host/command.ts'
import { type TarEntry, tar } from '../../../images/tar.ts'

const { signal } = new AbortController()
const hostRun = createRunCommand({ clock: systemClock, deadlineMs: 60_000 })
export const testImage = 'skiff-test/busybox:1'

export interface TestEngine extends AsyncDisposable {
  readonly socketPath: string
  readonly netns: string
  /** Parent of the containers' cgroups. */
  readonly cgroupParent: string
  readonly folder: string
  /** Runs programs inside the engine's network namespace. */
  readonly run: RunCommand
  /** Runs a program inside the namespace that must succeed. */
  exec(program: string, ...args: readonly string[]): Promise<string>
  docker(...args: readonly string[]): Promise<string>
  /** Ends the engine and starts it again; containers live on. */
  restart(): Promise<void>
}

export async function startTestEngine(): Promise<TestEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-engine-'))
  const netns = folder.split('/').pop() ?? ''
  const socketPath = join(folder, 'docker.sock')
  const inside = (program: string, args: readonly string[]) => ({
    program: 'nsenter',
    args: [`--net=/run/netns/${netns}`, program, ...args],
  })
  await mustRun(hostRun, 'add namespace', { program: 'ip', args: ['netns', 'add', netns] }, { signal })
  const run: RunCommand = (command, opts) => hostRun({ ...command, ...inside(command.program, command.args) }, opts)
  const exec = (program: string, ...args: readonly string[]) => mustRun(run, program, { program, args }, { signal })
  const docker = (...args: readonly string[]) => exec('docker', '-H', `unix://${socketPath}`, ...args)
  await exec('ip', 'link', 'set', 'lo', 'up')
  const config = join(folder, 'daemon.json')
  await writeFile(config, '{}')
  let pid = await launch().catch(async (err: unknown) => {
    await cleanUp(folder, netns)
    throw err
  })

  async function launch(): Promise<number> {
    const own = ['--config-file', config] // The machine's own says things that are flags here, which the engine refuses.
    const flags = ['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid')]
    const more = ['-H', `unix://${socketPath}`, '--bip', '10.249.0.1/24', '--cgroup-parent', `/${netns}`, '--live-restore']
    const command = inside('dockerd', [...own, ...flags, ...more, '--userland-proxy=false'])
    const log = join(folder, 'log')
    const child = spawn('sh', ['-c', `exec "$@" >>${log} 2>&1`, 'sh', command.program, ...command.args], {
      detached: true,
      stdio: 'ignore',
    })
    const started = child.pid ?? 0
    child.unref()
    for (let tries = 0; tries < 300; tries++) {
      if (existsSync(socketPath) && (await isUp())) return started
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    if (existsSync(`/proc/${started}`)) process.kill(started, 'SIGKILL')
    throw new Error(`dockerd does not answer:\n${readFileSync(log, 'utf8').slice(-2_000)}`)
  }
  async function isUp(): Promise<boolean> {
    const result = await run({ program: 'docker', args: ['-H', `unix://${socketPath}`, 'version'] }, { signal })
    return result.code === 0
  }
  async function end(name: NodeJS.Signals): Promise<void> {
    if (existsSync(`/proc/${pid}`)) process.kill(pid, name)
    for (let tries = 0; tries < 200 && existsSync(`/proc/${pid}`); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  return {
    socketPath,
    netns,
    folder,
    cgroupParent: `/${netns}`,
    run,
    exec,
    docker,
    async restart() {
      await end('SIGTERM')
      pid = await launch()
    },
    async [Symbol.asyncDispose]() {
      const ids = (await docker('ps', '-aq')).split('\n').filter((id) => id !== '')
      if (ids.length > 0) await docker('rm', '-fv', ...ids)
      await end('SIGTERM')
      await cleanUp(folder, netns)
    },
  }
}

async function cleanUp(folder: string, netns: string): Promise<void> {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  const ours = mounts.map((line) => line.split(' ')[1] ?? '').filter((path) => path.startsWith(`${folder}/`))
  for (const path of ours.reverse()) await hostRun({ program: 'umount', args: ['-l', path] }, { signal })
  await hostRun({ program: 'ip', args: ['netns', 'del', netns] }, { signal })
  await hostRun({ program: 'sh', args: ['-c', `rmdir /sys/fs/cgroup/*/${netns} /sys/fs/cgroup/${netns}`] }, { signal })
  await rm(folder, { recursive: true, force: true })
}

const applets = [
  'sh',
  'cat',
  'echo',
  'sleep',
  'httpd',
  'wget',
  'nc',
  'hostname',
  'ls',
  'id',
  'tail',
  'dd',
  'kill',
  'head',
  'seq',
  'ip',
  'stty',
  'true',
  'false',
  'env',
  'sha256sum',
  'ps',
  'grep',
  'mkdir',
  'wc',
]

/** A busybox image, made on the spot. */
export async function makeTestImage(engine: TestEngine): Promise<void> {
  const busybox = readFileSync('/bin/busybox')
  const entries: TarEntry[] = [
    ...['bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'www'].map((path) => ({ type: 'folder' as const, path, mode: 0o755 })),
    { type: 'file', path: 'bin/busybox', data: busybox, mode: 0o755 },
    { type: 'file', path: 'etc/passwd', data: Buffer.from('root:x:0:0:root:/:/bin/sh\n'), mode: 0o644 },
    ...applets.map((name) => ({ type: 'link' as const, path: `bin/${name}`, target: 'busybox' })),
  ]
  const path = join(engine.folder, 'image.tar')
  await writeFile(path, tar(entries))
  await engine.docker('import', '-c', 'ENV PATH=/bin', '-c', 'CMD ["sleep","3600"]', path, testImage)
}
