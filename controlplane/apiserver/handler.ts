import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { ApiRequest, Identity, WatchRequest } from '../../api/meta/request.ts'
import { forbidden, methodNotAllowed, noSuchPath, StatusError, timeout, tooManyRequests } from '../../api/meta/status.ts'
import { must } from '../../lib/assert.ts'
import { isAbort, LinkedAbort, TimeoutError } from '../../lib/async.ts'
import { type Shape, send, sendAnswer, sendError } from './answer.ts'
import { parseBody, readBytes } from './body.ts'
import { containerRef, streamsFor } from './container.ts'
import type { Documents } from './documents.ts'
import { requesterOf } from './identity.ts'
import { readLogOptions, streamLog } from './log.ts'
import type { MaintenanceCall } from './maintenance.ts'
import { formOf, includeObjectOf } from './negotiate.ts'
import type { ApiServerOptions, Limits } from './options.ts'
import { flag, integer, readOptions, withDeleteOptions } from './query.ts'
import { type ResourceRoute, resourceRoute } from './resource.ts'
import { reviewPaths } from './reviews.ts'
import type { ServerMetrics } from './server-metrics.ts'
import { streamWatch } from './watch-stream.ts'

export interface HandlerDeps extends Omit<ApiServerOptions, 'limits'> {
  readonly limits: Limits
  readonly documents: Documents
  readonly served: ServerMetrics
}

/** One request on its way. */
interface Exchange {
  readonly request: Http2ServerRequest
  readonly response: Http2ServerResponse
  readonly path: string
  readonly query: URLSearchParams
  readonly method: string
  /** Aborts when the client has gone, the server stops, or the request's time is over. */
  readonly gone: AbortController
  readonly signal: AbortSignal
}

export const tlsSocketOf = (request: Http2ServerRequest): TLSSocket =>
  // Over HTTP/2 the request's own socket is a stand-in.
  (request.httpVersionMajor === 2 ? request.stream.session?.socket : request.socket) as TLSSocket

/** Answers every request, whatever it is: failures are Status objects. */
export class Handler {
  readonly #deps: HandlerDeps
  #inFlight = 0
  #longRunning = 0
  /** What is being answered. A signal for each, linked to that of the server, would cost more than the rest of a request. */
  readonly #open = new Set<AbortController>()
  readonly #stops = new WeakSet<AbortSignal>()

  constructor(deps: HandlerDeps) {
    this.#deps = deps
  }

  async handle(request: Http2ServerRequest, response: Http2ServerResponse, stop: AbortSignal): Promise<void> {
    const gone = new AbortController()
    response.on('close', () => {
      // After each answer too, when nobody waits for anything any more.
      if (this.#open.has(gone)) gone.abort(new Error('the client has gone'))
    })
    response.on('error', () => gone.abort(new Error('the connection failed')))
    this.#openUntil(stop, gone)
    const { signal } = gone
    const startMs = this.#deps.clock.monotonicMs()
    const method = request.method ?? 'GET'
    let code = 0
    try {
      const [path = '/', search = ''] = splitUrl(request.url ?? '/')
      await this.#route({
        request,
        response,
        path,
        query: search === '' ? noQuery : new URLSearchParams(search),
        method,
        gone,
        signal,
      })
      code = response.statusCode
    } catch (err) {
      code = this.#fail(response, err, { signal, method, path: (request.url ?? '').split('?')[0] ?? '' })
    }
    this.#open.delete(gone)
    this.#deps.served.answered({ method, code, seconds: (this.#deps.clock.monotonicMs() - startMs) / 1000 })
  }

  #openUntil(stop: AbortSignal, gone: AbortController): void {
    if (stop.aborted) gone.abort(stop.reason)
    this.#open.add(gone)
    if (this.#stops.has(stop)) return
    this.#stops.add(stop)
    const end = (): void => {
      for (const one of this.#open) one.abort(stop.reason)
    }
    stop.addEventListener('abort', end, { once: true })
  }

  #fail(
    response: Http2ServerResponse,
    err: unknown,
    { signal, method, path }: { signal: AbortSignal; method: string; path: string },
  ): number {
    const hasGone = isAbort(err, signal) || response.destroyed
    if (!hasGone && !(err instanceof StatusError)) this.#deps.log.error('request failed', { method, path, err })
    if (response.headersSent || response.destroyed) {
      // The answer had begun: only cutting it off says that it is not whole.
      if (!response.writableEnded) response.destroy()
      return 499
    }
    return sendError(response, hasGone ? tooManyRequests('the server is stopping, try again') : err).code
  }

  async #route(exchange: Exchange): Promise<void> {
    const { request, response, path } = exchange
    const open = this.#deps.documents.open(path)
    if (open !== undefined) return this.#get(exchange, () => send(response, open.code, open.body, { 'content-type': open.type }))
    const identity = requesterOf(tlsSocketOf(request), request.headers)
    if (path === '/metrics') return this.#metrics(exchange, identity)
    const maintenance = this.#deps.maintenance ?? {}
    if (Object.hasOwn(maintenance, path)) return this.#counted(() => this.#maintain(exchange, identity, maintenance[path] ?? {}))
    const document = this.#deps.documents.known(path, request.headers.accept)
    if (document !== undefined) {
      return this.#get(exchange, () => send(response, 200, document.body, { 'content-type': document.type, ...document.headers }))
    }
    if (Object.hasOwn(reviewPaths, path)) return this.#counted(() => this.#review(exchange, identity))
    return this.#resource(exchange, identity)
  }

  #get({ method }: Exchange, answer: () => void): void {
    if (method !== 'GET') throw methodNotAllowed('the server does not allow this method on the requested resource')
    answer()
  }

  async #maintain(exchange: Exchange, identity: Identity, call: MaintenanceCall): Promise<void> {
    onlyMasters(identity, exchange)
    const { request, response, method, signal } = exchange
    if (method === 'GET' && call.get !== undefined) {
      send(response, 200, JSON.stringify(await call.get({ signal })))
      return
    }
    if (method !== 'POST' || call.post === undefined) throw methodNotAllowed(`the path does not take ${method}`)
    const bytes = await readBytes(request, this.#deps.limits.bodyBytes)
    const { value } = parseBody(bytes, request.headers['content-type'], { method, fieldValidation: 'Strict' })
    send(response, 200, JSON.stringify(await call.post(value, { signal })))
  }

  async #metrics(exchange: Exchange, identity: Identity): Promise<void> {
    onlyMasters(identity, exchange)
    const { contentType, body } = await this.#deps.metrics.render()
    this.#get(exchange, () => send(exchange.response, 200, body, { 'content-type': contentType }))
  }

  async #review({ request, response, path, method, query }: Exchange, identity: Identity): Promise<void> {
    if (method !== 'POST') throw methodNotAllowed('the server does not allow this method on the requested resource')
    const { fieldValidation } = readOptions(query)
    const body = parseBody(await readBytes(request, this.#deps.limits.bodyBytes), request.headers['content-type'], {
      method,
      fieldValidation,
    })
    const review = must(reviewPaths[path], 'the caller has looked')
    send(response, 201, JSON.stringify(review(this.#deps.registry, identity, body.value)))
  }

  #resource(exchange: Exchange, identity: Identity): Promise<void> {
    const { path, method, query } = exchange
    const route = resourceRoute(this.#deps.registry.kinds, { path, method, isWatch: flag(query, 'watch') })
    if (route.subresource === 'log') return this.lasting(() => this.#log(exchange, { route, identity }))
    if (route.subresource === 'exec') throw methodNotAllowed('exec takes a WebSocket over HTTP/1.1: send an upgrade')
    if (route.verb === 'watch') return this.lasting(() => this.#watch(exchange, { route, identity }))
    return this.#counted(() => this.#answer(exchange, { route, identity }))
  }

  async #answer(exchange: Exchange, { route, identity }: { route: ResourceRoute; identity: Identity }): Promise<void> {
    const { request, response } = exchange
    const shape = this.#shape(exchange, route)
    const { limits, registry } = this.#deps
    await this.#inTime(exchange, async (signal) => {
      const asked = await apiRequest(exchange, route, limits.bodyBytes)
      const { code, body, warnings: more } = await registry.request(identity, asked.request, { signal })
      const warnings = asked.warnings.length === 0 ? more : [...asked.warnings, ...more]
      // In its time too: who takes a list slowly must not keep a place for ever.
      await sendAnswer(response, { code, body, warnings }, shape, { signal })
    })
    request.resume()
  }

  /** Also when `work` does not heed its signal. */
  #inTime<T>({ gone, signal, method, path }: Exchange, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, limits } = this.#deps
    return new Promise<T>((resolve, reject) => {
      const timer = clock.after(limits.requestMs, () => {
        reject(timeout(`${method} ${path}: not finished within ${limits.requestMs} ms`))
        gone.abort(new TimeoutError('the time of the request is over'))
      })
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      work(signal)
        .then(resolve, reject)
        .finally(() => timer[Symbol.dispose]())
    })
  }

  #shape({ request, query }: Exchange, { kind }: ResourceRoute): Shape {
    return {
      kind,
      form: formOf(request.headers.accept),
      includeObject: includeObjectOf(query.get('includeObject')),
      nowMs: this.#deps.clock.now(),
    }
  }

  async #watch(exchange: Exchange, { route, identity }: { route: ResourceRoute; identity: Identity }): Promise<void> {
    const { clock, limits, registry } = this.#deps
    const { query, response, signal } = exchange
    const shape = this.#shape(exchange, route)
    const seconds = integer(query, 'timeoutSeconds')
    const bookmarks = flag(query, 'allowWatchBookmarks')
    const marksInitialEnd = flag(query, 'sendInitialEvents')
    using own = new LinkedAbort(signal)
    const batches = registry.watch(identity, watchRequest(route, query), { signal: own.signal, rarely: true })
    let isOver = false
    const timer = clock.after(seconds === undefined || seconds === 0 ? limits.watchMs : seconds * 1000, () => {
      isOver = true
      own.abort()
    })
    try {
      await streamWatch(
        response,
        batches,
        { shape, bookmarks, marksInitialEnd, bookmarkMs: limits.bookmarkMs, clock },
        { signal: own.signal },
      )
    } catch (err) {
      // Its time is over: the stream has ended in order.
      if (!isOver) throw err
    } finally {
      timer[Symbol.dispose]()
    }
  }

  async #log(exchange: Exchange, { route, identity }: { route: ResourceRoute; identity: Identity }): Promise<void> {
    const { query, response, signal, method } = exchange
    const { namespace, name } = route
    if (method !== 'GET' || namespace === undefined || name === undefined) throw methodNotAllowed('a log can only be read')
    const { registry, clock } = this.#deps
    const options = readLogOptions(query, clock)
    const place = { namespace, name, subresource: 'log', container: query.get('container') ?? '' } as const
    const ref = await containerRef(registry, identity, place, { signal })
    await streamLog(response, streamsFor(identity, this.#deps), { ref, options }, { signal })
  }

  async #counted(work: () => Promise<void>): Promise<void> {
    if (this.#inFlight >= this.#deps.limits.inFlight) throw tooManyRequests('too many requests at once, try again')
    this.#inFlight++
    try {
      await work()
    } finally {
      this.#inFlight--
    }
  }

  /** For what may last: watches, logs, execs. */
  async lasting(work: () => Promise<void>): Promise<void> {
    if (this.#longRunning >= this.#deps.limits.longRunning)
      throw tooManyRequests('too many watches and streams at once, try again', 5)
    this.#deps.served.lasting(++this.#longRunning)
    try {
      await work()
    } finally {
      this.#deps.served.lasting(--this.#longRunning)
    }
  }
}

function onlyMasters({ user, groups }: Identity, { method, path }: Exchange): void {
  if (groups.includes('system:masters')) return
  const verb = method === 'GET' ? 'get' : 'post'
  throw forbidden({ group: '', plural: 'paths', kind: 'Path' }, path, `User "${user}" cannot ${verb} path "${path}"`)
}

const noQuery = new URLSearchParams()
const urlLimit = 16_384

function splitUrl(url: string): readonly [string, string] {
  if (url.length > urlLimit) throw noSuchPath()
  const at = url.indexOf('?')
  const path = at < 0 ? url : url.slice(0, at)
  return [path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path, at < 0 ? '' : url.slice(at + 1)]
}

const noBytes = Buffer.alloc(0)
const hasBody = ['POST', 'PUT', 'PATCH', 'DELETE']

async function apiRequest(
  { request, method, query }: Exchange,
  { kind, verb, namespace, name, subresource }: ResourceRoute,
  limit: number,
): Promise<{ request: ApiRequest; warnings: readonly string[] }> {
  if (verb === 'watch') throw methodNotAllowed('a watch is no request')
  const options = readOptions(query)
  const bytes = hasBody.includes(method) ? await readBytes(request, limit) : noBytes
  const { fieldValidation } = options
  const { value, warnings, patchType } = parseBody(bytes, request.headers['content-type'], { method, fieldValidation })
  const isDelete = verb === 'delete' || verb === 'deletecollection'
  return {
    warnings,
    request: {
      verb,
      kind,
      options: isDelete ? withDeleteOptions(options, value) : options,
      ...(namespace === undefined ? {} : { namespace }),
      ...(name === undefined ? {} : { name }),
      ...(subresource === undefined ? {} : { subresource }),
      ...(isDelete || value === undefined ? {} : { body: value }),
      ...(patchType === undefined ? {} : { patchType }),
    },
  }
}

function watchRequest({ kind, namespace, name }: ResourceRoute, query: URLSearchParams): WatchRequest {
  const { labelSelector, fieldSelector, resourceVersion } = readOptions(query)
  // With initial events asked for, what is there comes first, whatever revision was named.
  const after = flag(query, 'sendInitialEvents') ? undefined : resourceVersion
  return {
    kind,
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...(after === undefined ? {} : { resourceVersion: after }),
  }
}
