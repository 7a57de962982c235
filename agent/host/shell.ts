import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import process from 'node:process'
import { type AbortOptions, TimeoutError } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import { type Random, uuid } from '../../lib/random.ts'
import { type Command, CommandError, type CommandResult, type RunCommand } from './command.ts'

export interface ShellOptions {
  readonly clock: Clock
  readonly random: Random
  readonly deadlineMs?: number
}

/** For commands that say a few lines. */
const maxOutputBytes = 1024 * 1024

/**
 * Runs programs through one shell that stays: to start a program takes a large process ten milliseconds, in which
 * nothing else of it goes on, and a small one hardly any. One command after the other, so none of them may take long;
 * a command that does is ended together with the shell, and the next one gets another.
 */
export function createShell(options: ShellOptions): RunCommand & Disposable {
  let shell: Shell | undefined
  let lastTurn: Promise<unknown> = Promise.resolve()
  const run = (command: Command, opts: AbortOptions): Promise<CommandResult> => {
    const mine = lastTurn.then(async () => {
      opts.signal.throwIfAborted()
      if (shell?.isOpen !== true) shell = new Shell(options)
      return await shell.run(command, opts)
    })
    lastTurn = mine.catch(() => undefined) // Its caller hears of it.
    return mine
  }
  return Object.assign(run, { [Symbol.dispose]: () => shell?.end() })
}

class Shell {
  readonly #options: ShellOptions
  /** Says in both streams where a command's output ends. */
  readonly #mark: string
  readonly #child: ChildProcessWithoutNullStreams
  readonly #said = { stdout: '', stderr: '' }
  #heard: () => void = () => undefined
  #failure: unknown

  constructor(options: ShellOptions) {
    this.#options = options
    this.#mark = `end-${uuid(options.random)}`
    // A group of its own, which can be ended with whatever runs in it.
    const child = spawn('sh', [], { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    this.#child = child
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        this.#said[name] += text
        if (this.#said[name].length > maxOutputBytes)
          this.#fail(new CommandError(`a command printed more than ${maxOutputBytes} bytes`))
        this.#heard()
      })
    }
    child.stdin.on('error', () => undefined) // The shell has ended, which says more.
    child.on('error', (err) => this.#fail(new CommandError(`cannot run sh: ${err.message}`, { cause: err })))
    child.on('close', () => this.#fail(new CommandError('the shell that runs commands has ended')))
  }

  get isOpen(): boolean {
    return this.#failure === undefined
  }

  end(): void {
    this.#fail(new CommandError('the shell that runs commands was ended'))
  }

  async run(command: Command, { signal }: AbortOptions): Promise<CommandResult> {
    const { clock, deadlineMs: usualMs = 15_000 } = this.#options
    const { deadlineMs = usualMs } = command
    const stop = (): void => this.#fail(signal.reason)
    const late = (): void => this.#fail(new TimeoutError(`${command.program} did not end within ${deadlineMs} ms`))
    using _timer = clock.after(deadlineMs, late)
    signal.addEventListener('abort', stop, { once: true })
    try {
      this.#said.stdout = ''
      this.#said.stderr = ''
      this.#child.stdin.write(this.#script(command))
      return await new Promise((resolve, reject) => {
        this.#heard = () => {
          const result = this.#result()
          if (result !== undefined) resolve(result)
          else if (this.#failure !== undefined) reject(this.#failure)
        }
        this.#heard()
      })
    } finally {
      this.#heard = () => undefined
      signal.removeEventListener('abort', stop)
    }
  }

  #script({ program, args, input }: Command): string {
    const words = [program, ...args].map(quoted).join(' ')
    const from =
      input === undefined ? '</dev/null' : `<<'${this.#mark}'\n${input.endsWith('\n') ? input : `${input}\n`}${this.#mark}\n`
    return `${words} ${from}\ncode=$?; printf '\\n%s %d\\n' ${this.#mark} $code; printf '\\n%s\\n' ${this.#mark} >&2\n`
  }

  /** Undefined before both streams have said that the command has ended. */
  #result(): CommandResult | undefined {
    const stdout = new RegExp(`^([^]*)\\n${this.#mark} (\\d+)\\n$`).exec(this.#said.stdout)
    const end = `\n${this.#mark}\n`
    if (stdout === null || !this.#said.stderr.endsWith(end)) return undefined
    return { code: Number(stdout[2]), stdout: stdout[1] ?? '', stderr: this.#said.stderr.slice(0, -end.length) }
  }

  #fail(err: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = err ?? new CommandError('the shell that runs commands failed')
    const { pid } = this.#child
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    } catch {
      // It has ended already.
    }
    this.#heard()
  }
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`
