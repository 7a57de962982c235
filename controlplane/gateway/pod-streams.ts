import type { ServerDuplexStream } from '@grpc/grpc-js'
import { badRequest, internalError, isUnavailable, unavailable } from '../../api/meta/status.ts'
import type { ContainerRef, ExecInput, ExecOptions, ExecOutput, LogOptions, PodStreams } from '../../api/meta/streams.ts'
import type { OpenStream, StreamDown, StreamUp } from '../../api/proto/agent.ts'
import { isAbort, withDeadline } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import { writeChunk } from '../../lib/writable.ts'
import { gatewayError } from './stream-error.ts'

export type StreamCall = ServerDuplexStream<StreamUp, StreamDown>

/** Gives a message to a node's session; throws Unavailable when it has none. */
export interface StreamSender {
  open(node: string, request: OpenStream, signal: AbortSignal): Promise<void>
  cancel(node: string, id: string): void
}

interface Waiting {
  readonly node: string
  arrive(call: StreamCall): void
}

const dialDeadlineMs = 10_000
const maxStreams = 5000
const idBytes = 18

/**
 * Logs and exec: asks the pod's node over its session to dial a stream with an id that nobody can guess, waits for it,
 * and carries it. Backpressure goes through: nothing is read here before the last chunk has been taken.
 */
export class GatewayStreams implements PodStreams {
  readonly #clock: Clock
  readonly #random: Random
  readonly #sender: StreamSender
  readonly #waiting = new Map<string, Waiting>()
  #open = 0

  constructor({ clock, random, sender }: { clock: Clock; random: Random; sender: StreamSender }) {
    this.#clock = clock
    this.#random = random
    this.#sender = sender
  }

  /** A stream that node `node` has dialled. False: nobody waits for it, or it is not that node's. */
  arrive(node: string, id: string, call: StreamCall): boolean {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined || waiting.node !== node) return false
    this.#waiting.delete(id)
    waiting.arrive(call)
    return true
  }

  async *log(ref: ContainerRef, options: LogOptions, { signal }: { readonly signal: AbortSignal }): AsyncGenerator<Uint8Array> {
    const value = {
      follow: options.follow,
      previous: options.previous,
      timestamps: options.timestamps,
      tailLines: optionalInt(options.tailLines),
      limitBytes: optionalInt(options.limitBytes),
      sinceMs: optionalInt(options.sinceMs),
    }
    for await (const message of this.#carry(ref, { $case: 'log', value }, undefined, signal)) {
      if (message.$case === 'stdout' || message.$case === 'stderr') yield message.value
    }
  }

  async *exec(
    ref: ContainerRef,
    options: ExecOptions,
    input: AsyncIterable<ExecInput>,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<ExecOutput> {
    if (options.command.length === 0) throw badRequest('you must specify at least one command for the container')
    const value = { ...options, command: [...options.command] }
    for await (const message of this.#carry(ref, { $case: 'exec', value }, input, signal)) {
      if (message.$case === 'exitCode') yield { type: 'exit', code: message.value }
      else if (message.$case === 'stdout' || message.$case === 'stderr') yield { type: message.$case, data: message.value }
    }
  }

  async *#carry(
    ref: ContainerRef,
    what: NonNullable<OpenStream['what']>,
    input: AsyncIterable<ExecInput> | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<NonNullable<StreamUp['message']>> {
    if (this.#open >= maxStreams) throw unavailable(`more than ${maxStreams} streams are open`)
    this.#open++
    const own = new AbortController()
    const stop = (): void => own.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    let call: StreamCall | undefined
    try {
      signal.throwIfAborted()
      call = await this.#dial(ref, what, own.signal)
      const opened = call
      own.signal.addEventListener('abort', () => opened.end(), { once: true })
      // A failing input ends the stream below; its error is told there.
      const feeding = input === undefined ? undefined : feed(opened, input, own)
      yield* read(opened, ref, own.signal)
      own.abort(new Error('the stream has ended'))
      await feeding
    } finally {
      this.#open--
      own.abort(new Error('the reader has left'))
      signal.removeEventListener('abort', stop)
      call?.end()
    }
  }

  async #dial(ref: ContainerRef, what: NonNullable<OpenStream['what']>, signal: AbortSignal): Promise<StreamCall> {
    const id = Buffer.from(this.#random.bytes(idBytes)).toString('base64url')
    const arrived = new Promise<StreamCall>((arrive) => this.#waiting.set(id, { node: ref.node, arrive }))
    const deadline = { clock: this.#clock, ms: dialDeadlineMs, signal, what: `asking node "${ref.node}" for a stream` }
    try {
      return await withDeadline(deadline, async (inner) => {
        await this.#sender.open(ref.node, { id, podUid: ref.uid, container: ref.container, what }, inner)
        return await arrived
      })
    } catch (err) {
      this.#sender.cancel(ref.node, id)
      if (isAbort(err, signal) || isUnavailable(err)) throw err
      throw gatewayError(ref.node, err)
    } finally {
      this.#waiting.delete(id)
    }
  }
}

async function* read(call: StreamCall, ref: ContainerRef, signal: AbortSignal): AsyncGenerator<NonNullable<StreamUp['message']>> {
  try {
    // Leaving the loop must not destroy the call: it still has to be ended, so that the agent hears of it.
    const messages: AsyncIterable<StreamUp> = call.iterator({ destroyOnReturn: false })
    for await (const { message } of messages) {
      signal.throwIfAborted()
      if (message?.$case === 'error') throw gatewayError(ref.node, message.value)
      if (message === undefined) continue
      yield message
      if (message.$case === 'exitCode') return
    }
    signal.throwIfAborted()
  } catch (err) {
    signal.throwIfAborted()
    throw gatewayError(ref.node, err)
  }
  if (call.cancelled) throw internalError(`node "${ref.node}" ended the stream before its end`)
}

async function feed(call: StreamCall, input: AsyncIterable<ExecInput>, own: AbortController): Promise<void> {
  try {
    for await (const one of input) await writeChunk(call, { message: downOf(one) }, { signal: own.signal })
  } catch (err) {
    own.abort(err)
  }
}

function downOf(input: ExecInput): StreamDown['message'] {
  if (input.type === 'stdin') return { $case: 'stdin', value: Buffer.from(input.data) }
  if (input.type === 'stdinEnd') return { $case: 'stdinEnd', value: true }
  return { $case: 'resize', value: { width: input.width, height: input.height } }
}

const optionalInt = (value: number | undefined): bigint | undefined =>
  value === undefined ? undefined : BigInt(Math.trunc(value))
