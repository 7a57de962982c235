import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { type AbortOptions, sleep } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import { readIfThere, writeWhole } from '../../lib/private-files.ts'
import { memberFolder } from './etcd-args.ts'

/** Where the process number of the running etcd is written, for the next start and for whoever has to stop it. */
export const pidFile = (dataFolder: string): string => join(dataFolder, 'etcd.pid')

export async function rememberRunning(dataFolder: string, pid: number): Promise<void> {
  await writeWhole(pidFile(dataFolder), `${pid}\n`, 0o600)
}

/** Unless another has been started since. */
export async function forgetRunning(dataFolder: string, pid: number): Promise<void> {
  if ((await readIfThere(pidFile(dataFolder)))?.trim() !== String(pid)) return
  await rm(pidFile(dataFolder), { force: true })
}

/** The process number of an etcd that runs on this data, left by a control plane that died. */
export async function findRunning(dataFolder: string): Promise<number | undefined> {
  const pid = Number.parseInt((await readIfThere(pidFile(dataFolder))) ?? '', 10)
  if (pid > 1 && (await runsOn(pid, dataFolder))) return pid
  // Its owner may have died before it could write the number down.
  for (const name of await readdir('/proc')) {
    if (/^[1-9]\d*$/.test(name) && (await runsOn(Number(name), dataFolder))) return Number(name)
  }
  return undefined
}

/** Whether the process is an etcd on this data. Numbers are used again, so that being alive is not enough. */
export async function runsOn(pid: number, dataFolder: string): Promise<boolean> {
  try {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')
    return words.includes(`--data-dir=${memberFolder(dataFolder)}`)
  } catch {
    return false // The process is gone.
  }
}

/** Asks the process to end, ends it the hard way after `graceMs`, and waits until it is gone. */
export async function stopRunning(
  pid: number,
  { dataFolder, clock, graceMs, signal }: AbortOptions & { dataFolder: string; clock: Clock; graceMs: number },
): Promise<void> {
  const endMs = clock.monotonicMs() + graceMs
  let isAsked = false
  while (await runsOn(pid, dataFolder)) {
    if (!isAsked) kill(pid, 'SIGTERM')
    else if (clock.monotonicMs() >= endMs) kill(pid, 'SIGKILL')
    isAsked = true
    await sleep(clock, 50, signal)
  }
}

function kill(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name)
  } catch (err) {
    if (!(err instanceof Error && 'code' in err && err.code === 'ESRCH')) throw err // Gone already.
  }
}
