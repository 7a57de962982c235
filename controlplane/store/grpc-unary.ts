import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2'
import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { castGrpcError, GRPCInternalError, GRPCUnavailableError } from 'etcd3'
import { type AbortOptions, TimeoutError } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'

/** PEM texts. Without `cert` and `key` the server is checked but the client stays anonymous. */
export interface EtcdTls {
  readonly ca: string
  readonly cert?: string
  readonly key?: string
  /** What the server's certificate must be for, when it is reached by an address that no certificate names. */
  readonly serverName?: string
}

export interface UnaryOptions {
  readonly endpoints: readonly string[]
  readonly tls: EtcdTls | undefined
  readonly clock: Clock
}

export interface UnaryCall extends AbortOptions {
  /** As in `/etcdserverpb.KV/Range`. */
  readonly path: string
  readonly message: Uint8Array
  readonly ms: number
  /** For errors. */
  readonly what: string
}

/** Answers that are still to come on a connection that is no longer used for others have this long. */
const drainMs = 10_000
/** A page of a list in one piece, however far away etcd is. */
const windowBytes = 4 * 1024 * 1024

/**
 * gRPC calls with one message each way, straight over HTTP/2: with grpc-js and etcd3 around it a call took three times
 * as much of the processor, a quarter of all that the API server spent on a create. One connection to one endpoint; after
 * a failure the next call goes to the next endpoint. Nothing is sent twice here.
 */
export class UnaryCaller {
  readonly #endpoints: readonly string[]
  readonly #clock: Clock
  #tls: EtcdTls | undefined
  #at = 0
  #session: ClientHttp2Session | undefined
  readonly #all = new Set<ClientHttp2Session>()
  #isClosed = false

  constructor({ endpoints, tls, clock }: UnaryOptions) {
    this.#endpoints = endpoints
    this.#tls = tls
    this.#clock = clock
  }

  /** For connections from now on. */
  setTls(tls: EtcdTls): void {
    this.#tls = tls
    if (this.#session !== undefined) this.#retire(this.#session)
  }

  /** Ends everything that is under way. */
  close(): void {
    this.#isClosed = true
    for (const session of this.#all) session.destroy()
  }

  /**
   * The answer's message. Rejects with etcd3's errors, TimeoutError after `ms`, or the signal's reason; only in the
   * first case, and not always, is it known that the server has done nothing.
   */
  call({ path, message, ms, what, signal }: UnaryCall): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      const session = this.#open()
      const stream = session.request({ ...constantHeaders, ':path': path, 'grpc-timeout': `${Math.ceil(ms)}m` })
      const answer = new Answer(stream)
      let isSettled = false
      const settle = (): void => {
        isSettled = true
        timer[Symbol.dispose]()
        signal.removeEventListener('abort', stop)
      }
      const giveUp = (reason: unknown): void => {
        settle()
        reject(reason)
        stream.close(cancelCode)
      }
      const stop = (): void => giveUp(signal.reason)
      const timer = this.#clock.after(ms, () => {
        // Nobody may be there any more: the next call is not to wait for that as well.
        this.#retire(session)
        giveUp(new TimeoutError(`${what}: no answer within ${ms} ms`))
      })
      signal.addEventListener('abort', stop, { once: true })
      stream.on('close', () => {
        // Given up by us: that says nothing of the connection.
        if (isSettled) return
        settle()
        const result = answer.result()
        if (!(result instanceof Error)) return resolve(result)
        // Without a status it was the connection that failed, as when it has given all its numbers for calls away.
        if (result instanceof GRPCUnavailableError && (this.#endpoints.length > 1 || !answer.hasStatus)) this.#retire(session)
        reject(result)
      })
      stream.end(message)
    })
  }

  #open(): ClientHttp2Session {
    if (this.#isClosed) throw new GRPCUnavailableError('the client was closed')
    const known = this.#session
    if (known !== undefined && !known.closed && !known.destroyed) return known
    const endpoint = this.#endpoints[this.#at % this.#endpoints.length] ?? ''
    const session = connect(endpoint, {
      ...tlsOptions(this.#tls),
      settings: { enablePush: false, initialWindowSize: windowBytes },
      ...unlimited,
    })
    this.#session = session
    this.#all.add(session)
    session.once('connect', () => session.setLocalWindowSize(4 * windowBytes))
    session.on('error', () => this.#retire(session)) // Each call that it ends says why.
    session.once('close', () => {
      this.#retire(session)
      this.#all.delete(session)
    })
    return session
  }

  /** No further calls on this connection: the next one goes to the next endpoint. */
  #retire(session: ClientHttp2Session): void {
    if (this.#session !== session) return
    this.#session = undefined
    this.#at++
    if (session.destroyed) return
    session.close()
    const cut = this.#clock.after(drainMs, () => session.destroy())
    session.once('close', () => cut[Symbol.dispose]())
  }
}

const constantHeaders = { ':method': 'POST', te: 'trailers', 'content-type': 'application/grpc' } as const
/** Node bounds what a connection may hold in memory, and refuses further calls beyond; the calls are bounded already. */
const unlimited = { maxSessionMemory: Number.MAX_SAFE_INTEGER }
const cancelCode = 8

function tlsOptions(tls: EtcdTls | undefined) {
  if (tls === undefined) return {}
  const { ca, cert, key, serverName } = tls
  const own = cert === undefined || key === undefined ? {} : { cert, key }
  return { ca, ...own, ...(serverName === undefined ? {} : { servername: serverName }) }
}

const prefixBytes = 5
const noPrefix = new Uint8Array(prefixBytes)

/** A larger buffer is not kept for the next message. */
const keptBytes = 64 * 1024

/** Makes messages as they go over the wire: behind their length, and not compressed. */
export class Framer {
  /** Used again: with a new one its buffer grew anew for each message, six times for a pod. */
  #writer = new BinaryWriter()

  message(encode: (writer: BinaryWriter) => void): Uint8Array {
    const writer = this.#writer
    // Kept only if all goes well: what failed halfway left something in it.
    this.#writer = new BinaryWriter()
    writer.raw(noPrefix)
    encode(writer)
    const bytes = writer.finish()
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(1, bytes.length - prefixBytes)
    if (bytes.length <= keptBytes) this.#writer = writer
    return bytes
  }
}

/** What comes back on one stream. */
class Answer {
  readonly #chunks: Buffer[] = []
  #http = 0
  #status: string | undefined
  #message = ''
  #failure: Error | undefined

  constructor(stream: ClientHttp2Stream) {
    stream.on('response', (headers) => {
      this.#http = headers[':status'] ?? 0
      this.#note(headers)
    })
    stream.on('trailers', (headers) => this.#note(headers))
    stream.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    stream.on('error', (err) => {
      this.#failure = err
    })
  }

  /** The server has said how the call ended. */
  get hasStatus(): boolean {
    return this.#status !== undefined
  }

  /** After its end. */
  result(): Uint8Array | Error {
    if (this.#status === '0') return this.#payload()
    if (this.#status !== undefined) return castGrpcError(statusError(Number(this.#status), this.#message))
    const why = this.#failure?.message ?? (this.#http === 0 ? 'the connection ended' : `HTTP status ${this.#http}`)
    return new GRPCUnavailableError(`no answer: ${why}`)
  }

  #note(headers: IncomingHttpHeaders): void {
    const { 'grpc-status': status, 'grpc-message': message } = headers
    if (status !== undefined) this.#status = String(status)
    if (message !== undefined) this.#message = decoded(String(message))
  }

  #payload(): Uint8Array | Error {
    // A copy: parts of it may be kept for long, and must not keep what the connection has read beside it.
    const bytes = Buffer.concat(this.#chunks)
    const isWhole = bytes.length >= prefixBytes && bytes[0] === 0 && bytes.readUInt32BE(1) === bytes.length - prefixBytes
    return isWhole ? bytes.subarray(prefixBytes) : new GRPCInternalError('the answer is no single message')
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const statusError = (code: number, message: string): Error =>
  Object.assign(new Error(`gRPC status ${code}: ${message}`), { code })
