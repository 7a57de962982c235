import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { type WebSocket, WebSocketServer } from 'ws'
import { badRequest, noSuchPath, StatusError } from '../../api/meta/status.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { statusOf } from './answer.ts'
import { containerRef, streamsFor } from './container.ts'
import { execProtocols, readExecOptions, runExec } from './exec.ts'
import type { Handler, HandlerDeps } from './handler.ts'
import { requesterOf } from './identity.ts'
import { resourceRoute } from './resource.ts'

const messageLimit = 4 * 1024 * 1024
const pingMs = 30_000

/** Connections that become WebSockets: exec. */
export class Upgrades {
  readonly #deps: HandlerDeps
  readonly #handler: Handler
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: messageLimit,
    perMessageDeflate: false,
    handleProtocols: (offered) => execProtocols.find((one) => offered.has(one)) ?? false,
  })

  constructor(deps: HandlerDeps, handler: Handler) {
    this.#deps = deps
    this.#handler = handler
  }

  async handle(request: IncomingMessage, socket: Duplex, { head, signal }: AbortOptions & { head: Buffer }): Promise<void> {
    socket.on('error', () => socket.destroy())
    try {
      await this.#handler.lasting(() => this.#exec(request, socket, { head, signal }))
    } catch (err) {
      if (!(err instanceof StatusError) && !signal.aborted)
        this.#deps.log.error('upgrade failed', { path: request.url?.split('?')[0], err })
      refuse(socket, err)
    }
  }

  async #exec(request: IncomingMessage, socket: Duplex, { head, signal }: AbortOptions & { head: Buffer }): Promise<void> {
    const identity = requesterOf(request.socket as TLSSocket, request.headers)
    const { registry } = this.#deps
    const [path = '', search = ''] = (request.url ?? '').split('?', 2)
    const query = new URLSearchParams(search)
    const { namespace, name, subresource } = resourceRoute(registry.kinds, { path, method: 'GET', isWatch: false })
    if (subresource !== 'exec' || namespace === undefined || name === undefined) throw noSuchPath()
    const options = readExecOptions(query)
    const place = { namespace, name, subresource: 'exec', container: query.get('container') ?? '' } as const
    const ref = await containerRef(registry, identity, place, { signal })
    // Last: kubectl tries an older protocol after any refusal, and shows what is said about that one.
    checkProtocol(request)
    const ws = await new Promise<WebSocket>((resolve) => this.#sockets.handleUpgrade(request, socket, head, resolve))
    const stopPings = this.#keepAlive(ws)
    try {
      await runExec(ws, streamsFor(identity, this.#deps), { ref, options }, { signal })
    } finally {
      stopPings()
    }
  }

  /** A client that vanished without a word is noticed. */
  #keepAlive(ws: WebSocket): () => void {
    let isAlive = true
    ws.on('pong', () => {
      isAlive = true
    })
    let timer: Disposable | undefined
    const beat = (): void => {
      if (!isAlive) ws.terminate()
      isAlive = false
      if (ws.readyState === ws.OPEN) ws.ping()
      timer = this.#deps.clock.after(pingMs, beat)
    }
    timer = this.#deps.clock.after(pingMs, beat)
    return () => timer?.[Symbol.dispose]()
  }
}

function checkProtocol({ headers }: IncomingMessage): void {
  if (headers.upgrade?.toLowerCase() !== 'websocket')
    throw badRequest(`upgrade to "${String(headers.upgrade).slice(0, 50)}" is not supported, use websocket`)
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim())
  if (!execProtocols.some((one) => offered.includes(one)))
    throw badRequest(`none of the sub-protocols ${execProtocols.join(', ')} was offered`)
}

function refuse(socket: Duplex, err: unknown): void {
  if (socket.destroyed || !socket.writable) return
  const status = statusOf(err)
  const body = Buffer.from(JSON.stringify(status))
  const head = [
    `HTTP/1.1 ${status.code} ${STATUS_CODES[status.code] ?? 'Error'}`,
    'content-type: application/json',
    `content-length: ${body.length}`,
    'connection: close',
  ]
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]))
}
