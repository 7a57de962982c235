import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { type AbortOptions, sleep } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import { UserError } from '../output.ts'
import type { Installation } from './paths.ts'

const logLimitBytes = 64 * 1024 * 1024

/** A program that runs in the background. Its pid file also holds its start time, so that a pid used again is no match. */
export interface Daemon {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}

const pidFile = ({ runDir }: Installation, name: string): string => join(runDir, `${name}.pid`)
export const logFile = ({ logDir }: Installation, name: string): string => join(logDir, `${name}.log`)

/** The pid of a running daemon. */
export async function runningPid(at: Installation, name: string): Promise<number | undefined> {
  const text = await readFile(pidFile(at, name), 'utf8').catch(() => undefined)
  const [pid = '', startTime] = (text ?? '').trim().split(' ')
  if (!/^\d+$/.test(pid)) return undefined
  return (await processStart(Number(pid))) === startTime ? Number(pid) : undefined
}

/** Field 22 of /proc/PID/stat: with the pid it names one process for ever. undefined for a zombie or nothing. */
async function processStart(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields === undefined || fields[0] === 'Z' ? undefined : fields[19]
}

/**
 * For the C library, which otherwise keeps freed memory apart for each thread, and by and by more and larger pieces of it:
 * from 128 KiB on a piece is given back when it is freed.
 */
const allocator = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_TRIM_THRESHOLD_: '131072' }

/** Starts a daemon in its own session, writing to its log. Running already: its pid. */
export async function start(at: Installation, daemon: Daemon): Promise<number> {
  const running = await runningPid(at, daemon.name)
  if (running !== undefined) return running
  await mkdir(at.runDir, { recursive: true, mode: 0o700 })
  await mkdir(at.logDir, { recursive: true, mode: 0o700 })
  const log = logFile(at, daemon.name)
  const size = (await stat(log).catch(() => undefined))?.size ?? 0
  if (size > logLimitBytes) await rename(log, `${log}.1`)
  const fd = openSync(log, 'a', 0o600)
  try {
    const child = spawn(daemon.command, daemon.args, {
      detached: true,
      stdio: ['ignore', fd, fd],
      env: { ...allocator, ...process.env, ...daemon.env },
      cwd: '/',
    })
    const { pid } = child
    if (pid === undefined) throw new UserError(`error: cannot start ${daemon.command}`)
    child.unref()
    await writeFile(pidFile(at, daemon.name), `${pid} ${(await processStart(pid)) ?? ''}\n`, { mode: 0o600 })
    return pid
  } finally {
    closeSync(fd)
  }
}

/** SIGTERM, and SIGKILL when it has not ended within `limitMs`. False: it was not running. */
export async function stop(
  at: Installation,
  name: string,
  { clock, limitMs, signal }: AbortOptions & { clock: Clock; limitMs: number },
): Promise<boolean> {
  const pid = await runningPid(at, name)
  if (pid !== undefined) {
    signalTo(pid, 'SIGTERM')
    const until = clock.monotonicMs() + limitMs
    while ((await runningPid(at, name)) !== undefined) {
      if (clock.monotonicMs() > until) signalTo(pid, 'SIGKILL')
      await sleep(clock, 50, signal)
    }
  }
  await rm(pidFile(at, name), { force: true })
  return pid !== undefined
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended in between.
  }
}

/** The last lines of a daemon's log, for when it did not come up. */
export async function logTail(at: Installation, name: string, lines = 15): Promise<string> {
  const text = await readFile(logFile(at, name), 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-lines).join('\n')
}

/** Runs a program to its end. A failure throws with what it said. */
export function runOnce(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  { signal }: AbortOptions,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env }, signal })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) return resolve(stdout)
      // Where in the program it happened tells its user nothing.
      const words = stderr
        .trim()
        .split('\n')
        .filter((line) => !/^\s+at /.test(line))
      reject(new UserError(`error: ${args.join(' ')} ended with code ${code}: ${words.slice(-5).join('\n')}`))
    })
  })
}
