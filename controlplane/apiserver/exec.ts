import { WebSocket } from 'ws'
import { badRequest, type Status } from '../../api/meta/status.ts'
import type { ContainerRef, ExecInput, ExecOptions, PodStreams } from '../../api/meta/streams.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { BoundedQueue } from '../../lib/queue.ts'
import { statusOf } from './answer.ts'
import { flag } from './query.ts'

/** First byte of each message. */
const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const
export const execProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const

export function readExecOptions(query: URLSearchParams): ExecOptions {
  const command = query.getAll('command')
  if (command.length === 0 || command[0] === '') throw badRequest('you must specify at least 1 command')
  const tty = flag(query, 'tty')
  const options = {
    command,
    stdin: flag(query, 'stdin'),
    stdout: flag(query, 'stdout'),
    stderr: flag(query, 'stderr') && !tty,
    tty,
  }
  if (!options.stdin && !options.stdout && !options.stderr)
    throw badRequest('you must specify at least 1 of stdin, stdout, stderr')
  return options
}

/** Messages of input that may wait for the pod; then the socket is not read any further. */
const inputLimit = 256
const pauseAt = 64

/** Runs a command over a WebSocket whose handshake is done. The last message is a Status with the exit code. */
export async function runExec(
  socket: WebSocket,
  streams: PodStreams,
  { ref, options }: { readonly ref: ContainerRef; readonly options: ExecOptions },
  { signal }: AbortOptions,
): Promise<void> {
  const own = new AbortController()
  const stop = AbortSignal.any([signal, own.signal])
  const input = new BoundedQueue<ExecInput>(inputLimit)
  socket.on('message', (data: Buffer) => {
    const read = readMessage(data)
    if (read !== undefined) input.push(read)
    if (input.size >= pauseAt) socket.pause()
  })
  socket.on('error', () => own.abort(new Error('the connection failed')))
  socket.on('close', () => own.abort(new Error('the client has gone')))
  try {
    for await (const output of streams.exec(ref, options, resuming(socket, input.read({ signal: stop })), { signal: stop })) {
      if (output.type === 'exit') {
        await say(socket, channel.error, Buffer.from(JSON.stringify(exitStatus(output.code))))
        break
      }
      await say(socket, output.type === 'stdout' ? channel.stdout : channel.stderr, output.data)
    }
  } catch (err) {
    if (!stop.aborted) await say(socket, channel.error, Buffer.from(JSON.stringify(statusOf(err))))
  } finally {
    input.end()
    own.abort(new Error('the command has ended'))
    socket.close(1000)
  }
}

async function* resuming(socket: WebSocket, input: AsyncIterable<ExecInput>): AsyncGenerator<ExecInput, void, void> {
  for await (const one of input) {
    yield one
    // Whoever takes the next one has room for more.
    if (socket.isPaused) socket.resume()
  }
}

function readMessage(data: Buffer): ExecInput | undefined {
  const rest = data.subarray(1)
  switch (data[0]) {
    case channel.stdin:
      return rest.length === 0 ? undefined : { type: 'stdin', data: rest }
    case channel.resize:
      return readSize(rest)
    case channel.close:
      return rest[0] === channel.stdin ? { type: 'stdinEnd' } : undefined
    default:
      return undefined
  }
}

function readSize(data: Buffer): ExecInput | undefined {
  try {
    const { Width: width, Height: height } = JSON.parse(data.toString('utf8')) as { Width?: unknown; Height?: unknown }
    const isSize = (value: unknown): value is number => Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536
    return isSize(width) && isSize(height) ? { type: 'resize', width, height } : undefined
  } catch {
    return undefined // A size that cannot be read changes nothing.
  }
}

/** Resolves when the socket has taken it: that is the back-pressure of a slow client. */
function say(socket: WebSocket, to: number, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    if (socket.readyState !== WebSocket.OPEN) reject(new Error('the client has gone'))
    else socket.send(Buffer.concat([Buffer.of(to), data]), (err) => (err ? reject(err) : resolve()))
  })
}

function exitStatus(code: number): Partial<Status> {
  if (code === 0) return { metadata: {}, status: 'Success' }
  const causes = [{ reason: 'ExitCode', message: String(code) }]
  const message = `command terminated with non-zero exit code: exit status ${code}`
  return { metadata: {}, status: 'Failure', reason: 'NonZeroExitCode', message, details: { causes } }
}
