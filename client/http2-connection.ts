import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { unavailable } from '../api/meta/status.ts'
import type { AbortOptions } from '../lib/async.ts'
import type { Clock } from '../lib/clock.ts'

export interface ConnectionOptions {
  /** As in `https://host:6443`. */
  readonly server: string
  /** PEM. Absent: the system's authorities. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly token?: string
  readonly serverName?: string
  readonly insecureSkipVerify?: boolean
  readonly clock: Clock
}

export interface OpenResponse {
  readonly code: number
  readonly headers: IncomingHttpHeaders
  /** Destroy it to give the stream up. Reading it honours back-pressure. */
  readonly stream: ClientHttp2Stream
}

const pingEveryMs = 15_000
const pingDeadlineMs = 10_000

/**
 * One HTTP/2 session, opened when needed and again after it broke. A peer that has vanished without a word is found
 * out by pings, so that no watch hangs for ever.
 */
export class Http2Connection {
  readonly #options: ConnectionOptions
  #session: ClientHttp2Session | undefined
  #isClosed = false

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /** Sends a request and waits for the head of the answer. Failures of the connection are ServiceUnavailable. */
  async open(headers: OutgoingHttpHeaders, body: Uint8Array | undefined, { signal }: AbortOptions): Promise<OpenResponse> {
    try {
      return await this.#attempt(headers, body, { signal })
    } catch (err) {
      signal.throwIfAborted()
      // The server took back its promise before it looked at the request, so sending it again cannot do it twice.
      if (wasNotProcessed(err) && !this.#isClosed)
        return await this.#attempt(headers, body, { signal }).catch((again) => this.#fail(again))
      return this.#fail(err)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#session?.close()
    this.#session?.destroy()
    this.#session = undefined
  }

  #fail(err: unknown): never {
    const cause = err instanceof Error ? err : new Error(String(err))
    throw unavailable(`the server ${this.#options.server} cannot be reached: ${cause.message}`)
  }

  #attempt(headers: OutgoingHttpHeaders, body: Uint8Array | undefined, { signal }: AbortOptions): Promise<OpenResponse> {
    signal.throwIfAborted()
    const stream = this.#connected().request(this.#withIdentity(headers), { endStream: body === undefined })
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        reject(signal.reason)
        stream.close(constants.NGHTTP2_CANCEL)
      }
      signal.addEventListener('abort', stop, { once: true })
      stream.once('close', () => {
        signal.removeEventListener('abort', stop)
        reject(new Error('the connection was closed before the answer'))
      })
      stream.on('error', reject)
      stream.once('response', (head) => resolve({ code: Number(head[':status']), headers: head, stream }))
      if (body !== undefined) stream.end(body)
    })
  }

  #withIdentity(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
    const { token } = this.#options
    return { 'user-agent': 'skiff', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers }
  }

  #connected(): ClientHttp2Session {
    if (this.#isClosed) throw new Error('the connection has been closed')
    const known = this.#session
    if (known !== undefined && !known.closed && !known.destroyed) return known
    const { server, ca, cert, key, serverName, insecureSkipVerify } = this.#options
    const session = connect(server, {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(serverName === undefined ? {} : { servername: serverName }),
      rejectUnauthorized: insecureSkipVerify !== true,
      settings: { enablePush: false, initialWindowSize: 1 << 20 },
    })
    this.#session = session
    const drop = (): void => {
      if (this.#session === session) this.#session = undefined
    }
    session.on('error', drop) // Each stream of the session fails with the same error, and says so.
    session.on('goaway', drop)
    session.on('close', drop)
    this.#watchOver(session)
    return session
  }

  #watchOver(session: ClientHttp2Session): void {
    const { clock } = this.#options
    let timer: Disposable
    const look = (): void => {
      const late = clock.after(pingDeadlineMs, () =>
        session.destroy(new Error(`no answer to a ping within ${pingDeadlineMs} ms`)),
      )
      const isSent =
        !session.closed &&
        !session.destroyed &&
        session.ping(() => {
          late[Symbol.dispose]()
        })
      if (!isSent) late[Symbol.dispose]()
      if (!session.destroyed) timer = clock.after(pingEveryMs, look)
    }
    timer = clock.after(pingEveryMs, look)
    session.once('close', () => timer[Symbol.dispose]())
  }
}

function wasNotProcessed(err: unknown): boolean {
  if (!(err instanceof Error) || !('code' in err)) return false
  return (
    err.code === 'ERR_HTTP2_GOAWAY_SESSION' ||
    err.code === 'ERR_HTTP2_INVALID_SESSION' ||
    err.message.includes('NGHTTP2_REFUSED_STREAM')
  )
}
