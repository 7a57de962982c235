import { on } from 'node:events'
import type { IncomingMessage } from 'node:http'
import WebSocket from 'ws'
import { restPath } from '../api/derive/paths.ts'
import { Pod } from '../api/kinds/pod.ts'
import { type Status, StatusError, unavailable } from '../api/meta/status.ts'
import type { ContainerRef, ExecInput, ExecOptions, ExecOutput, LogOptions, PodStreams } from '../api/meta/streams.ts'
import type { AbortOptions } from '../lib/async.ts'
import { formatTime } from '../lib/clock.ts'
import { type ConnectionOptions, Http2Connection } from './http2-connection.ts'
import { failureOf } from './https-transport.ts'
import { queryString } from './query.ts'

/** Logs over HTTPS, exec over a WebSocket (`v5.channel.k8s.io`). Of a ContainerRef only names are sent. */
export function podStreams(options: ConnectionOptions): PodStreams {
  return {
    log: (ref, log, opts) => readLog(options, ref, { log, ...opts }),
    exec: (ref, exec, input, opts) => runExec(options, ref, { exec, input, ...opts }),
  }
}

const placeOf = ({ namespace, pod }: ContainerRef) => ({ kind: Pod, namespace, name: pod })

async function* readLog(
  options: ConnectionOptions,
  ref: ContainerRef,
  { log, signal }: AbortOptions & { log: LogOptions },
): AsyncGenerator<Uint8Array, void, void> {
  const query = queryString({
    container: ref.container === '' ? undefined : ref.container,
    follow: log.follow || undefined,
    previous: log.previous || undefined,
    timestamps: log.timestamps || undefined,
    tailLines: log.tailLines,
    limitBytes: log.limitBytes,
    sinceTime: log.sinceMs === undefined ? undefined : formatTime(log.sinceMs),
  })
  // A connection of its own: a log that is read slowly holds nothing else up.
  const connection = new Http2Connection(options)
  try {
    const path = `${restPath({ ...placeOf(ref), subresource: 'log' })}${query}`
    const { code, stream } = await connection.open({ ':method': 'GET', ':path': path }, undefined, { signal })
    if (code !== 200) throw failureOf(code, await textOf(stream))
    for await (const chunk of stream as AsyncIterable<Uint8Array>) yield chunk
    signal.throwIfAborted()
    if ((stream.rstCode ?? 0) !== 0) throw unavailable('the log was cut off')
  } finally {
    connection.close()
  }
}

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream as AsyncIterable<Uint8Array>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const
const openDeadlineMs = 30_000

async function* runExec(
  options: ConnectionOptions,
  ref: ContainerRef,
  { exec, input, signal }: AbortOptions & { exec: ExecOptions; input: AsyncIterable<ExecInput> },
): AsyncGenerator<ExecOutput, void, void> {
  signal.throwIfAborted()
  const own = new AbortController()
  const socket = openSocket(options, execPath(ref, exec))
  const messages = on(socket, 'message', { close: ['close'], signal, highWaterMark: 64, lowWaterMark: 16 })
  try {
    await opened(socket, { signal })
    // Its failure is not of interest: it means that the socket is closing, which the loop below sees.
    sendInput(socket, input, own.signal).catch(() => undefined)
    for await (const [data] of messages) {
      const output = outputOf(data as Buffer)
      if (output === undefined) continue
      yield output
      if (output.type === 'exit') return
    }
    throw unavailable('the connection was lost while the command was running')
  } catch (err) {
    signal.throwIfAborted()
    throw err instanceof StatusError ? err : unavailable(`exec: ${err instanceof Error ? err.message : String(err)}`)
  } finally {
    own.abort()
    socket.on('error', () => undefined) // Being terminated while it opens is no failure.
    socket.terminate()
  }
}

function execPath(ref: ContainerRef, { command, stdin, stdout, stderr, tty }: ExecOptions): string {
  const flags = queryString({
    container: ref.container === '' ? undefined : ref.container,
    stdin,
    stdout,
    stderr: stderr && !tty,
    tty,
  })
  const commands = command.map((word) => `&command=${encodeURIComponent(word)}`).join('')
  return `${restPath({ ...placeOf(ref), subresource: 'exec' })}${flags}${commands}`
}

function openSocket(options: ConnectionOptions, path: string): WebSocket {
  const { server, ca, cert, key, token, serverName, insecureSkipVerify } = options
  return new WebSocket(`${server.replace(/^http/, 'ws')}${path}`, ['v5.channel.k8s.io', 'v4.channel.k8s.io'], {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    rejectUnauthorized: insecureSkipVerify !== true,
    handshakeTimeout: openDeadlineMs,
    maxPayload: 4 * 1024 * 1024,
    perMessageDeflate: false,
  })
}

function opened(socket: WebSocket, { signal }: AbortOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    socket.once('open', () => resolve())
    socket.once('error', reject)
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      textOf(response).then((text) => reject(failureOf(response.statusCode ?? 500, text)), reject)
    })
  })
}

async function sendInput(socket: WebSocket, input: AsyncIterable<ExecInput>, signal: AbortSignal): Promise<void> {
  for await (const one of input) {
    if (signal.aborted) return
    const frame = frameOf(one, socket.protocol)
    if (frame !== undefined) await send(socket, frame)
  }
}

const send = (socket: WebSocket, frame: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => socket.send(frame, (err) => (err === undefined || err === null ? resolve() : reject(err))))

function frameOf(input: ExecInput, protocol: string): Uint8Array | undefined {
  switch (input.type) {
    case 'stdin':
      return Buffer.concat([Buffer.of(channel.stdin), input.data])
    case 'stdinEnd':
      // v4 knows no way to say it.
      return protocol.startsWith('v5') ? Buffer.of(channel.close, channel.stdin) : undefined
    case 'resize':
      return Buffer.concat([Buffer.of(channel.resize), Buffer.from(JSON.stringify({ Width: input.width, Height: input.height }))])
  }
}

function outputOf(message: Buffer): ExecOutput | undefined {
  const data = message.subarray(1)
  switch (message[0]) {
    case channel.stdout:
      return data.length === 0 ? undefined : { type: 'stdout', data }
    case channel.stderr:
      return data.length === 0 ? undefined : { type: 'stderr', data }
    case channel.error:
      return { type: 'exit', code: exitCodeOf(JSON.parse(data.toString('utf8')) as Status) }
    default:
      return undefined
  }
}

/** The last word on the error channel: success, the exit code, or why it could not be run. */
function exitCodeOf(status: Status): number {
  if (status.status === 'Success') return 0
  const cause = status.details?.causes?.find((one) => one.reason === 'ExitCode')
  const code = Number(cause?.message)
  if (status.reason === 'NonZeroExitCode' && Number.isInteger(code)) return code
  throw new StatusError(status)
}
