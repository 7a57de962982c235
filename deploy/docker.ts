// The Docker Engine: found running, or started the distribution's way, or started by us.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import process from 'node:process'
import { findProgram, type Say, tryRun, waitFor } from './steps.ts'

const dockerSocket = '/var/run/docker.sock'
const stateFolder = '/var/lib/skiff/docker-engine'

/** The engine that docker and Skiff mean here: DOCKER_HOST, or the usual socket. */
export function engineSocket(host = process.env['DOCKER_HOST'] ?? ''): string {
  if (host === '') return dockerSocket
  if (host.startsWith('unix:///')) return host.slice('unix://'.length)
  throw new Error(`DOCKER_HOST is "${host}", and Skiff needs an engine on this machine, as in unix://${dockerSocket}`)
}

/** Makes sure that a Docker Engine answers on its socket. Only one on the usual socket is started. */
export async function ensureDocker(say: Say): Promise<void> {
  if (await pingDocker()) return say(await describe('running'))
  if (engineSocket() !== dockerSocket) throw new Error(`no engine answers at ${engineSocket()}, which DOCKER_HOST names`)
  say('starting')
  if (await startService()) return say(await describe('started as a service'))
  await startOwn(say)
  say(await describe(`started by Skiff, log in ${stateFolder}`))
}

async function startService(): Promise<boolean> {
  const isSystemd = existsSync('/run/systemd/system')
  const command = isSystemd ? 'systemctl' : 'service'
  if (findProgram(command) === undefined) return false
  const result = await tryRun(command, isSystemd ? ['start', 'docker'] : ['docker', 'start'])
  return result.code === 0 && (await waitFor(5_000, pingDocker))
}

async function startOwn(say: Say): Promise<void> {
  const dockerd = findProgram('dockerd')
  if (dockerd === undefined) throw new Error('dockerd is not installed')
  say('the service does not start here; running dockerd')
  mkdirSync(stateFolder, { recursive: true })
  const pidFile = join(stateFolder, 'docker.pid')
  removeStalePidFile(pidFile)
  removeStalePidFile('/var/run/docker/containerd/containerd.pid')
  const log = join(stateFolder, 'dockerd.log')
  const out = openSync(log, 'a')
  const child = spawn(dockerd, [...engineFlags(), '--pidfile', pidFile], { detached: true, stdio: ['ignore', out, out] })
  child.unref()
  // An engine that somebody else is starting at this moment makes ours exit, and answers too.
  if (await waitFor(30_000, pingDocker)) return
  const tail = readFileSync(log, 'utf8').trim().split('\n').slice(-5).join('\n')
  throw new Error(`dockerd does not answer on ${dockerSocket}; the end of ${log}:\n${tail}`)
}

/** dockerd refuses to start when a setting is both in its configuration file and on the command line. */
export function engineFlags(configFile = '/etc/docker/daemon.json'): readonly string[] {
  const text = existsSync(configFile) ? readFileSync(configFile, 'utf8') : '{}'
  const config = JSON.parse(text) as Record<string, unknown>
  const flags = { 'live-restore': '--live-restore', 'userland-proxy': '--userland-proxy=false' }
  return Object.entries(flags).flatMap(([key, flag]) => (key in config ? [] : [flag]))
}

/** After a crash the number in a pid file may belong to any other process. */
function removeStalePidFile(path: string): void {
  if (!existsSync(path)) return
  const pid = readFileSync(path, 'utf8').trim()
  const comm = existsSync(`/proc/${pid}/comm`) ? readFileSync(`/proc/${pid}/comm`, 'utf8').trim() : ''
  if (comm !== 'dockerd' && comm !== 'containerd') rmSync(path)
}

async function describe(how: string): Promise<string> {
  const info = (await getJson('/info')) as { ServerVersion?: string; LiveRestoreEnabled?: boolean } | undefined
  const warning =
    info?.LiveRestoreEnabled === false ? '; warning: live-restore is off, so restarting the engine stops containers' : ''
  return `${info?.ServerVersion ?? 'unknown version'}, ${how}${warning}`
}

/** True if the engine answers. */
export async function pingDocker(): Promise<boolean> {
  return (await get('/_ping')) === 'OK'
}

async function getJson(path: string): Promise<unknown> {
  const text = await get(path)
  return text === undefined ? undefined : JSON.parse(text)
}

function get(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const req = request({ socketPath: engineSocket(), path, timeout: 5_000 }, (res) => {
      let body = ''
      res.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      res.on('end', () => resolve(res.statusCode === 200 ? body : undefined))
      res.on('error', () => resolve(undefined))
    })
    req.on('error', () => resolve(undefined))
    req.on('timeout', () => req.destroy())
    req.end()
  })
}
