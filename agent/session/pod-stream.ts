import type { ClientDuplexStream } from '@grpc/grpc-js'
import { badRequest, internalError, StatusError, tooManyRequests } from '../../api/meta/status.ts'
import type { ExecInput, ExecOptions, LogOptions } from '../../api/meta/streams.ts'
import type { ExecRequest, LogRequest, OpenStream, StreamDown, StreamUp } from '../../api/proto/agent.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { Log } from '../../lib/log.ts'
import { writeChunk } from '../../lib/writable.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { Link } from './channel.ts'

/** What a stream into a pod needs of the node. */
export interface StreamSources {
  readonly runtime: Pick<Runtime, 'logs' | 'exec'>
  /** Id of the pod's container: the newest one, or the one before it. Throws a StatusError that says why there is none. */
  containerId(
    ref: { readonly podUid: string; readonly container: string; readonly previous: boolean },
    opts: AbortOptions,
  ): Promise<string>
}

type Call = ClientDuplexStream<StreamUp, StreamDown>

const maxStreams = 200
const maxChunkBytes = 256 * 1024

/** Log and exec streams of one session. All end with it. */
export class PodStreamCalls {
  readonly #sources: StreamSources
  readonly #log: Log
  readonly #open = new Map<string, AbortController>()

  constructor(sources: StreamSources, log: Log) {
    this.#sources = sources
    this.#log = log
  }

  cancel(id: string): void {
    this.#open.get(id)?.abort(new Error('cancelled by the control plane'))
  }

  /** Dials the stream that the control plane asked for and serves it to its end. Never rejects. */
  async serve(link: Pick<Link, 'stream'>, request: OpenStream, { signal }: AbortOptions): Promise<void> {
    const own = new AbortController()
    const isFull = this.#open.size >= maxStreams
    this.#open.set(request.id, own)
    const call = link.stream()
    const stop = (): void => own.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    call.on('error', () => undefined) // Told by `status`.
    call.on('status', () => own.abort(new Error('the stream has ended')))
    own.signal.addEventListener('abort', () => call.cancel(), { once: true })
    try {
      await send(call, { $case: 'start', value: { id: request.id } }, own.signal)
      if (isFull) throw tooManyRequests(`more than ${maxStreams} streams are open on this node`)
      await this.#carry(call, request, own.signal)
      call.end()
    } catch (err) {
      if (!own.signal.aborted) await this.#fail(call, err, own.signal)
    } finally {
      this.#open.delete(request.id)
      signal.removeEventListener('abort', stop)
    }
  }

  async #fail(call: Call, err: unknown, signal: AbortSignal): Promise<void> {
    const { status } = err instanceof StatusError ? err : internalError(err instanceof Error ? err.message : String(err))
    this.#log.debug('stream into a pod failed', { err })
    const error = { code: status.code, reason: status.reason ?? '', message: status.message ?? '' }
    await send(call, { $case: 'error', value: error }, signal).catch(() => undefined) // The peer has gone: nobody to tell.
    call.end()
  }

  async #carry(call: Call, { podUid, container, what }: OpenStream, signal: AbortSignal): Promise<void> {
    if (what === undefined) throw badRequest('neither a log nor an exec was asked for')
    const previous = what.$case === 'log' && what.value.previous
    const id = await this.#sources.containerId({ podUid, container, previous }, { signal })
    if (what.$case === 'log') await this.#carryLog(call, id, what.value, signal)
    else await this.#carryExec(call, id, what.value, signal)
  }

  async #carryLog(call: Call, id: string, request: LogRequest, signal: AbortSignal): Promise<void> {
    call.resume() // Nothing comes down, but the end must be seen.
    for await (const { data } of this.#sources.runtime.logs(id, logOptions(request), { signal })) {
      for (const value of pieces(data)) await send(call, { $case: 'stdout', value }, signal)
    }
  }

  async #carryExec(call: Call, id: string, request: ExecRequest, signal: AbortSignal): Promise<void> {
    for await (const output of this.#sources.runtime.exec(id, execOptions(request), inputs(call), { signal })) {
      if (output.type === 'exit') await send(call, { $case: 'exitCode', value: output.code }, signal)
      else for (const value of pieces(output.data)) await send(call, { $case: output.type, value }, signal)
    }
  }
}

const send = (call: Call, message: StreamUp['message'], signal: AbortSignal): Promise<void> =>
  writeChunk(call, { message }, { signal })

function* pieces(bytes: Uint8Array): Generator<Buffer> {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < data.length; at += maxChunkBytes) yield data.subarray(at, at + maxChunkBytes)
}

async function* inputs(call: Call): AsyncGenerator<ExecInput, void, void> {
  // A program that closes its input must not destroy the call, which still carries its output.
  const messages: AsyncIterable<StreamDown> = call.iterator({ destroyOnReturn: false })
  for await (const { message } of messages) {
    if (message?.$case === 'stdin') yield { type: 'stdin', data: message.value }
    else if (message?.$case === 'stdinEnd') yield { type: 'stdinEnd' }
    else if (message?.$case === 'resize') yield { type: 'resize', ...message.value }
  }
}

function logOptions({ follow, previous, timestamps, tailLines, limitBytes, sinceMs }: LogRequest): LogOptions {
  return {
    follow,
    previous,
    timestamps,
    ...(tailLines === undefined ? {} : { tailLines: Number(tailLines) }),
    ...(limitBytes === undefined ? {} : { limitBytes: Number(limitBytes) }),
    ...(sinceMs === undefined ? {} : { sinceMs: Number(sinceMs) }),
  }
}

const execOptions = ({ command, stdin, stdout, stderr, tty }: ExecRequest): ExecOptions => ({
  command,
  stdin,
  stdout,
  stderr,
  tty,
})
