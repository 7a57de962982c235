import { spawn } from 'node:child_process'
import type { AbortOptions } from '../../lib/async.ts'
import { TimeoutError } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'

export interface Command {
  readonly program: string
  readonly args: readonly string[]
  readonly input?: string
  /** For a command that may take longer than most. */
  readonly deadlineMs?: number
}

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a host program to its end. Rejects when it cannot be started, takes too long, says too much, or on abort. */
export type RunCommand = (command: Command, opts: AbortOptions) => Promise<CommandResult>

export class CommandError extends Error {
  override readonly name = 'CommandError'
}

const maxOutputBytes = 64 * 1024 * 1024

/** Runs programs on this machine, killing those that take longer than `deadlineMs`. */
export function createRunCommand({ clock, deadlineMs: usualMs = 15_000 }: { clock: Clock; deadlineMs?: number }): RunCommand {
  return (command, { signal }) =>
    new Promise((resolve, reject) => {
      const { deadlineMs = usualMs } = command
      signal.throwIfAborted()
      const child = spawn(command.program, [...command.args], { stdio: ['pipe', 'pipe', 'pipe'] })
      const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
      let bytes = 0
      let failure: unknown
      const fail = (err: unknown): void => {
        failure ??= err
        child.kill('SIGKILL')
      }
      const stop = (): void => fail(signal.reason)
      const timer = clock.after(deadlineMs, () =>
        fail(new TimeoutError(`${command.program} did not end within ${deadlineMs} ms`)),
      )
      signal.addEventListener('abort', stop, { once: true })
      const settle = (): void => {
        timer[Symbol.dispose]()
        signal.removeEventListener('abort', stop)
      }
      for (const name of ['stdout', 'stderr'] as const) {
        child[name].on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > maxOutputBytes) fail(new CommandError(`${command.program} printed more than ${maxOutputBytes} bytes`))
          else output[name].push(chunk)
        })
      }
      child.stdin.on('error', () => undefined) // A program that ended early reads no more; its exit code says why.
      child.on('error', (err) => {
        settle()
        reject(new CommandError(`cannot run ${command.program}: ${err.message}`, { cause: err }))
      })
      child.on('close', (code) => {
        settle()
        if (failure !== undefined) reject(failure)
        else {
          const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString()
          resolve({ code: code ?? 128, stdout: text(output.stdout), stderr: text(output.stderr) })
        }
      })
      child.stdin.end(command.input ?? '')
    })
}

/** Runs a command that must succeed and gives what it printed; `what` says what was attempted. */
export async function mustRun(run: RunCommand, what: string, command: Command, opts: AbortOptions): Promise<string> {
  const { code, stdout, stderr } = await run(command, opts)
  if (code !== 0)
    throw new CommandError(`${what}: ${command.program} ended with ${code}: ${(stderr || stdout).trim().slice(0, 2_000)}`)
  return stdout
}
