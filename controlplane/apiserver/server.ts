import { once } from 'node:events'
import type { IncomingMessage, ServerOptions } from 'node:http'
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { aborted } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Service } from '../../lib/service.ts'
import { createDocuments } from './documents.ts'
import { Handler } from './handler.ts'
import { type ApiServerOptions, defaultLimits, type Limits } from './options.ts'
import { serverMetrics } from './server-metrics.ts'
import { Upgrades } from './upgrade.ts'

export interface ApiServer extends Service {
  /** Where it listens; undefined while it does not. */
  readonly address: { readonly host: string; readonly port: number } | undefined
  /** Resolves when it listens. */
  listening(): Promise<{ readonly host: string; readonly port: number }>
  /** New certificates for connections from now on. */
  setTls(tls: ApiServerOptions['tls']): void
}

/** How long streams have to end when the server stops. */
const drainMs = 2_000
const handshakeMs = 10_000

export function createApiServer(options: ApiServerOptions): ApiServer {
  const limits: Limits = { ...defaultLimits, ...options.limits }
  const { registry, log, clock } = options
  const deps = { ...options, limits, documents: createDocuments(registry.kinds, options), served: serverMetrics(options.metrics) }
  const handler = new Handler(deps)
  const upgrades = new Upgrades(deps, handler)
  let tls = options.tls
  let address: ApiServer['address']
  let server: Http2SecureServer | undefined
  let tellListening: (address: { host: string; port: number }) => void = () => undefined
  const isListening = new Promise<{ host: string; port: number }>((resolve) => {
    tellListening = resolve
  })

  async function run(signal: AbortSignal): Promise<void> {
    const made = createServer(tls, limits)
    server = made
    const sessions = new Map<ServerHttp2Session, Set<ServerHttp2Stream>>()
    const sockets = new Set<Duplex>()
    made.on('session', (session) => {
      const open = new Set<ServerHttp2Stream>()
      sessions.set(session, open)
      session.once('close', () => sessions.delete(session))
      session.on('stream', (stream) => track(open, stream))
    })
    // Of a socket of HTTP/1.1, too: Node ends those itself between two requests.
    made.on('timeout', (session: ServerHttp2Session) => {
      if (sessions.get(session)?.size === 0) closeIdle(session, clock)
    })
    made.on('connection', (socket: Socket) => track(sockets, socket))
    made.on('sessionError', (err) => log.debug('a session failed', { err }))
    made.on('tlsClientError', (err) => log.debug('a handshake failed', { err }))
    made.on('request', (request, response) => void handler.handle(request, response, signal)) // Never rejects.
    made.on(
      'upgrade',
      (request: IncomingMessage, socket: Duplex, head: Buffer) => void upgrades.handle(request, socket, { head, signal }),
    ) // Never rejects.
    made.listen(options.port, options.host)
    try {
      await once(made, 'listening', { signal })
      const { address: host, port } = made.address() as AddressInfo
      address = { host, port }
      tellListening(address)
      log.info('the API is served', { host, port })
      await Promise.race([aborted(signal), once(made, 'error').then(([err]) => Promise.reject(err))])
    } finally {
      address = undefined
      server = undefined
      await stopServer(made, [...sessions.keys()], sockets)
    }
  }

  async function stopServer(
    made: Http2SecureServer,
    sessions: readonly ServerHttp2Session[],
    sockets: ReadonlySet<Duplex>,
  ): Promise<void> {
    const closed = new Promise<void>((resolve) => made.close(() => resolve()))
    // GOAWAY: what is being answered may end, nothing new begins.
    for (const session of sessions) session.close()
    const cut = clock.after(drainMs, () => {
      for (const session of sessions) session.destroy()
      for (const socket of sockets) socket.destroy()
    })
    await closed
    cut[Symbol.dispose]()
  }

  return {
    name: 'API server',
    run,
    get address() {
      return address
    },
    listening: () => isListening,
    setTls(next) {
      tls = next
      server?.setSecureContext(secure(next))
    },
  }
}

type Tls = ApiServerOptions['tls']
const secure = ({ cert, key, ca }: Tls) => ({ cert, key, ca, minVersion: 'TLSv1.2' as const })

function createServer(tls: Tls, limits: Limits): Http2SecureServer {
  // Node takes them for HTTP/1.1 on this server as on others; its types do not say so.
  const timeouts: ServerOptions = {
    headersTimeout: limits.headerMs,
    requestTimeout: limits.headerMs + limits.requestMs,
    connectionsCheckingInterval: Math.min(limits.headerMs, 5_000),
  }
  const server = createSecureServer({
    ...secure(tls),
    ...timeouts,
    allowHTTP1: true,
    // Who shows no certificate, or a foreign one, is nobody: some paths answer nobody too.
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: handshakeMs,
    settings: { maxConcurrentStreams: limits.streamsPerConnection },
    maxSessionMemory: 64,
    // A client that opens and resets streams without end is cut off.
    streamResetBurst: 1_000,
    streamResetRate: 100,
  })
  server.maxConnections = limits.connections
  return Object.assign(server, { timeout: limits.idleMs }) // Its types lack it.
}

/** Long without a byte, and without an answer that is open, it has no use; not even one that stopped within its headers. */
function closeIdle(session: ServerHttp2Session, clock: Clock): void {
  // GOAWAY, and time for a request that is on its way.
  session.close()
  const cut = clock.after(drainMs, () => session.destroy())
  session.once('close', () => cut[Symbol.dispose]())
}

function track<T extends { once(event: 'close', run: () => void): unknown }>(all: Set<T>, one: T): void {
  all.add(one)
  one.once('close', () => all.delete(one))
}
