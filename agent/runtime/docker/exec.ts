import { readFile } from 'node:fs/promises'
import process from 'node:process'
import type { Duplex } from 'node:stream'
import type Docker from 'dockerode'
import type { ExecInput, ExecOptions, ExecOutput } from '../../../api/meta/streams.ts'
import { type AbortOptions, sleep } from '../../../lib/async.ts'
import type { Clock } from '../../../lib/clock.ts'
import { writeChunk } from '../../../lib/writable.ts'
import { RuntimeError } from '../runtime.ts'
import { bare, chunksOf, demultiplex } from './demux.ts'
import type { Engine } from './engine.ts'
import { runcWords } from './errors.ts'
import { isTrue, number } from './read.ts'

const callMs = 15_000
const startMs = 30_000
/** How often and how long to ask for the exit code after the output has ended. */
const exitPollMs = 20
const exitPolls = 250
const endOfTransmission = Uint8Array.of(4)

interface Context {
  readonly engine: Engine
  readonly clock: Clock
}

/**
 * Runs a command in a running container. Output comes as fast as it is taken; the last item is the exit code. Leaving
 * the loop or aborting kills the command, which the engine by itself would leave running.
 */
export async function* containerExec(
  context: Context,
  { id, options, input }: { id: string; options: ExecOptions; input: AsyncIterable<ExecInput> },
  { signal }: AbortOptions,
): AsyncGenerator<ExecOutput, void, void> {
  const { engine } = context
  const exec = await create(engine, id, options, signal)
  const socket = await start(engine, exec, options, signal)
  const stop = (): void => void socket.destroy(signal.reason instanceof Error ? signal.reason : undefined)
  signal.addEventListener('abort', stop, { once: true })
  socket.on('error', () => undefined) // Read from below; an error while nobody reads must not end the process.
  let hasEnded = false
  const iterator = input[Symbol.asyncIterator]()
  const pumping = pump(iterator, { socket, exec, options, context, signal })
  try {
    yield* output(socket, options, signal)
    const code = await exitCode(context, exec, signal)
    hasEnded = true
    yield { type: 'exit', code }
  } finally {
    signal.removeEventListener('abort', stop)
    socket.destroy()
    // An input that waits for its user may never give way: told to end, not waited for.
    void Promise.resolve(iterator.return?.()).catch(() => undefined)
    void pumping
    if (!hasEnded) await kill(context, exec, id)
  }
}

async function create(engine: Engine, id: string, options: ExecOptions, signal: AbortSignal): Promise<Docker.Exec> {
  try {
    return await engine.call({ what: 'create exec', ms: callMs, signal }, (docker, abortSignal) =>
      docker.getContainer(id).exec({
        Cmd: [...options.command],
        AttachStdin: options.stdin,
        AttachStdout: options.stdout || options.tty,
        AttachStderr: options.stderr && !options.tty,
        Tty: options.tty,
        abortSignal,
      }),
    )
  } catch (err) {
    if (!(err instanceof RuntimeError) || err.code !== 'Conflict') throw err
    // Commands of probes take the one for a failure of the container, the other for the end of it.
    const isPaused = /is paused/i.test(err.message)
    throw new RuntimeError('Conflict', `the container is ${isPaused ? 'paused' : 'not running'}`, { cause: err })
  }
}

async function start(engine: Engine, exec: Docker.Exec, options: ExecOptions, signal: AbortSignal): Promise<Duplex> {
  let started: Promise<Duplex> | undefined
  try {
    return await engine.call({ what: 'start exec', ms: startMs, signal }, () => {
      started = exec.start({ hijack: true, stdin: options.stdin, Tty: options.tty })
      return started
    })
  } catch (err) {
    // An answer that comes too late would leave its connection open.
    started?.then(
      (late) => late.destroy(),
      () => undefined,
    )
    if (err instanceof RuntimeError && /OCI runtime|exec failed|executable file/i.test(err.message)) {
      throw new RuntimeError('CannotRun', runcWords(err.message.replace(/^start exec: /, '')), { cause: err })
    }
    throw err
  }
}

async function* output(socket: Duplex, options: ExecOptions, signal: AbortSignal): AsyncGenerator<ExecOutput, void, void> {
  try {
    const chunks = chunksOf(socket)
    for await (const frame of options.tty ? bare(chunks) : demultiplex(chunks)) {
      yield { type: frame.stream, data: frame.data }
    }
  } catch (err) {
    signal.throwIfAborted()
    throw new RuntimeError('Unavailable', 'exec: the connection to the engine broke', { cause: err })
  }
  signal.throwIfAborted()
}

interface PumpOptions {
  readonly socket: Duplex
  readonly exec: Docker.Exec
  readonly options: ExecOptions
  readonly context: Context
  readonly signal: AbortSignal
}

/** Carries input to the command until either ends. Never rejects: a command that ended early is no failure. */
async function pump(input: AsyncIterator<ExecInput>, target: PumpOptions): Promise<void> {
  const { socket, options, signal } = target
  try {
    for (let next = await input.next(); next.done !== true && !socket.destroyed; next = await input.next()) {
      await feed(next.value, target)
    }
    if (options.stdin && !options.tty) socket.end()
  } catch (err) {
    const isOver = socket.destroyed || signal.aborted || socket.writableEnded
    if (!isOver) socket.destroy(err instanceof Error ? err : undefined)
  }
}

async function feed(item: ExecInput, { socket, exec, options, context, signal }: PumpOptions): Promise<void> {
  if (item.type === 'resize') return await resize(context.engine, exec, item, signal)
  if (!options.stdin) return
  if (item.type === 'stdin') await writeChunk(socket, item.data, { signal })
  // Closing a terminal would cut off the output, too; its end of input is a character.
  else if (options.tty) await writeChunk(socket, endOfTransmission, { signal })
  else socket.end()
}

async function resize(
  engine: Engine,
  exec: Docker.Exec,
  { width, height }: { width: number; height: number },
  signal: AbortSignal,
): Promise<void> {
  const call = { what: 'resize exec', ms: callMs, signal }
  // A command that has just ended has no terminal any more.
  await engine.call(call, (_, abortSignal) => exec.resize({ w: width, h: height, abortSignal })).catch(() => undefined)
}

async function exitCode({ engine, clock }: Context, exec: Docker.Exec, signal: AbortSignal): Promise<number> {
  const call = { what: 'inspect exec', ms: callMs, signal }
  for (let poll = 0; poll < exitPolls; poll++) {
    const state: unknown = await engine.call(call, (_, abortSignal) => exec.inspect({ abortSignal }))
    const code = number(state, 'ExitCode')
    if (!isTrue(state, 'Running') && code !== undefined) return code
    await sleep(clock, exitPollMs, signal)
  }
  throw new RuntimeError('Timeout', 'exec: the output has ended but the command has not')
}

/** Ends a command that nobody listens to any more. The caller's signal may be aborted, so this has its own. */
async function kill({ engine }: Context, exec: Docker.Exec, containerId: string): Promise<void> {
  const { signal } = new AbortController()
  try {
    const state: unknown = await engine.call({ what: 'inspect exec', ms: callMs, signal }, (_, abortSignal) =>
      exec.inspect({ abortSignal }),
    )
    const pid = number(state, 'Pid')
    if (!isTrue(state, 'Running') || pid === undefined || pid <= 1) return
    // The number could belong to another process by now, unless that one is in the container, too.
    const cgroup = await readFile(`/proc/${pid}/cgroup`, 'utf8')
    if (cgroup.includes(containerId)) process.kill(pid, 'SIGKILL')
  } catch {
    // Ended by itself, or the engine is away: nothing more can be done for it.
  }
}
