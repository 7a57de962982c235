// How set-up talks and runs programs: a spinner on a terminal, plain lines elsewhere.
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

/** Tells the user how a step came out, in place of its title. */
export type Say = (detail: string) => void

/** Runs one named step. What it `say`s last stands behind its title; a failure names the step and is thrown on. */
export async function step<T>(title: string, work: (say: Say) => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  const isTty = process.stdout.isTTY === true
  let detail = ''
  let frame = 0
  const line = (mark: string): string => `${mark} ${title}${detail === '' ? '' : `: ${detail}`}`
  const draw = (): void => void process.stdout.write(`\r\x1b[2K${line(frames[frame++ % frames.length] ?? '')}`)
  let plain: NodeJS.Timeout | undefined
  const timer = isTty ? setInterval(draw, 80) : undefined
  const end = (mark: string): void => {
    clearInterval(timer)
    clearTimeout(plain)
    const seconds = (performance.now() - startedAt) / 1000
    process.stdout.write(`${isTty ? '\r\x1b[2K' : ''}${line(mark)}${seconds >= 1 ? ` (${seconds.toFixed(1)} s)` : ''}\n`)
  }
  try {
    const result = await work((text) => {
      detail = text
      clearTimeout(plain)
      // On plain output only what takes a while gets a line of its own; the outcome stands on the last line anyway.
      if (!isTty) plain = setTimeout(() => process.stdout.write(`  ${title}: ${text}\n`), 200)
    })
    end('✓')
    return result
  } catch (err) {
    end('✗')
    throw err
  }
}

export interface RunResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly input?: string
}

/** Runs a program to its end and gives back what it printed. A program that cannot be started has code 127. */
export function tryRun(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: options.cwd, env: { ...process.env, ...options.env }, stdio: 'pipe' })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
    child.on('error', (err) => resolve({ code: 127, stdout, stderr: err.message }))
    child.on('close', (code) => resolve({ code: code ?? 1, stdout, stderr }))
  })
}

/** Like `tryRun`, but a failure throws with the end of what the program said. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await tryRun(command, args, options)
  if (result.code === 0) return result.stdout
  const said = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-15).join('\n')
  throw new Error(`${command} ${args.join(' ')} failed with code ${result.code}:\n${said}`)
}

/** The full path of a program, also looking where root's programs live; undefined where there is none. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']
  for (const folder of folders) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not here: look in the next folder.
    }
  }
  return undefined
}

/** Asks again every `everyMs` until the answer is yes or `limitMs` has passed; gives back the last answer. */
export async function waitFor(limitMs: number, isReady: () => Promise<boolean>, everyMs = 100): Promise<boolean> {
  const until = performance.now() + limitMs
  for (;;) {
    if (await isReady()) return true
    if (performance.now() > until) return false
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
