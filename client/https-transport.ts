import { constants, type IncomingHttpHeaders } from 'node:http2'
import { restPath } from '../api/derive/paths.ts'
import type { ApiList, ApiObject } from '../api/meta/object-meta.ts'
import type {
  ApiRequest,
  ApiResponse,
  PatchType,
  Transport,
  Verb,
  WatchBatch,
  WatchEvent,
  WatchRequest,
} from '../api/meta/request.ts'
import { expired, internalError, type Status, StatusError, unavailable } from '../api/meta/status.ts'
import { type AbortOptions, withDeadline } from '../lib/async.ts'
import { type ConnectionOptions, Http2Connection, type OpenResponse } from './http2-connection.ts'
import { queryString, requestQuery } from './query.ts'

export interface HttpsTransport extends Transport {
  /** GETs a path that is no object, such as `/version`. */
  get(path: string, opts: AbortOptions): Promise<unknown>
  /** POSTs to such a path; an undefined body is an empty one. */
  post(path: string, body: unknown, opts: AbortOptions): Promise<unknown>
  close(): void
}

const methods: Readonly<Record<Verb, string>> = {
  get: 'GET',
  list: 'GET',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETE',
}
const patchTypes: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
}
const requestDeadlineMs = 60_000
const maxBodyBytes = 256 * 1024 * 1024
const maxLineBytes = 8 * 1024 * 1024

/** The API over HTTPS: one HTTP/2 session, a deadline for every call, Status bodies as StatusErrors. */
export function httpsTransport(options: ConnectionOptions): HttpsTransport {
  const connection = new Http2Connection(options)
  const { clock } = options
  const call = (method: string, path: string, { signal, body, type }: AbortOptions & { body?: unknown; type?: string }) =>
    withDeadline({ clock, ms: requestDeadlineMs, signal, what: `${method} ${path}` }, async (inner) => {
      const bytes = body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(body))
      const headers = {
        ':method': method,
        ':path': path,
        accept: 'application/json',
        ...(bytes === undefined ? {} : { 'content-type': type ?? 'application/json', 'content-length': bytes.length }),
      }
      return readAnswer(await connection.open(headers, bytes, { signal: inner }))
    })
  return {
    async request(request, { signal }): Promise<ApiResponse> {
      const { verb, patchType } = request
      const path = `${restPath(request)}${queryString(requestQuery(request.options ?? {}))}`
      const type = patchType === undefined ? {} : { type: patchTypes[patchType] }
      const { code, headers, body } = await call(methods[verb], path, { signal, body: bodyOf(request), ...type })
      return { code, body: body as ApiObject | ApiList | Status, warnings: warningsOf(headers) }
    },
    watch: (request, opts) => watch(connection, request, opts),
    async get(path, opts) {
      const { body } = await call('GET', path, opts)
      return body
    },
    async post(path, body, opts) {
      return (await call('POST', path, { ...opts, ...(body === undefined ? {} : { body }) })).body
    },
    close: () => connection.close(),
  }
}

function bodyOf({ verb, options, body }: ApiRequest): unknown {
  if (verb !== 'delete' && verb !== 'deletecollection') return body
  const { gracePeriodSeconds, propagationPolicy, preconditions } = options ?? {}
  return { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds, propagationPolicy, preconditions }
}

async function readAnswer({ code, headers, stream }: OpenResponse): Promise<{
  readonly code: number
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}> {
  const text = await readText(stream)
  if (code >= 200 && code < 300) return { code, headers, body: parseBody(text) }
  throw failureOf(code, text)
}

/**
 * Reads until the stream has closed by itself. (Iterating would destroy it at its end, which sends a reset that the
 * server takes for one more of a flood: it cuts off who sends many.)
 */
function readText(stream: OpenResponse['stream']): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  let hasEnded = false
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk: Uint8Array) => {
      size += chunk.length
      chunks.push(chunk)
      if (size <= maxBodyBytes) return
      stream.close(constants.NGHTTP2_CANCEL)
      reject(internalError(`the answer is larger than ${maxBodyBytes} bytes`))
    })
    stream.once('end', () => {
      hasEnded = true
    })
    stream.on('error', () => reject(unavailable('the answer was cut off')))
    stream.once('close', () => {
      // A stream that the other end resets with CANCEL ends like one that is complete.
      if (!hasEnded || (stream.rstCode ?? 0) !== 0) reject(unavailable('the answer was cut off'))
      else resolve(Buffer.concat(chunks).toString('utf8'))
    })
  })
}

/** `/livez` and the like answer with plain text. */
function parseBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** What the server said, as the one error of the API; whatever it is that answered. */
export function failureOf(code: number, text: string): StatusError {
  const body = parseBody(text)
  if (isStatus(body)) return new StatusError(body)
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `the server answered ${code}: ${text.slice(0, 500).trim()}`,
    code,
  })
}

function isStatus(body: unknown): body is Status {
  return typeof body === 'object' && body !== null && 'kind' in body && body.kind === 'Status' && 'code' in body
}

/** `299 - "text"`, several joined by commas. */
function warningsOf(headers: IncomingHttpHeaders): readonly string[] {
  const text = [headers['warning'] ?? []].flat().join(', ')
  return [...text.matchAll(/\d{3} \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, warning = '']) => warning.replaceAll(/\\(.)/g, '$1'))
}

async function* watch(
  connection: Http2Connection,
  request: WatchRequest,
  { signal }: AbortOptions,
): AsyncGenerator<WatchBatch, void, void> {
  const { kind, namespace, name, labelSelector, resourceVersion } = request
  const named = name === undefined ? undefined : `metadata.name=${name}`
  const fieldSelector = [named, request.fieldSelector].filter((one) => one !== undefined).join(',')
  const query = queryString({
    watch: true,
    allowWatchBookmarks: true,
    resourceVersion,
    labelSelector,
    fieldSelector: fieldSelector === '' ? undefined : fieldSelector,
  })
  const path = `${restPath({ kind, ...(namespace === undefined ? {} : { namespace }) })}${query}`
  const response = await connection.open({ ':method': 'GET', ':path': path, accept: 'application/json' }, undefined, { signal })
  if (response.code !== 200) throw failureOf(response.code, await readText(response.stream))
  let revision = Number(resourceVersion ?? 0)
  try {
    for await (const lines of linesOf(response.stream)) {
      const events = lines.map(parseEvent)
      for (const { object } of events) revision = Math.max(revision, Number(object.metadata.resourceVersion ?? 0))
      yield { events: events.filter(isChange), revision }
    }
    signal.throwIfAborted()
  } catch (err) {
    signal.throwIfAborted()
    throw err
  } finally {
    response.stream.close()
  }
}

/** Whole lines, as many as came at once. */
async function* linesOf(stream: OpenResponse['stream']): AsyncGenerator<readonly string[], void, void> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > maxLineBytes) throw internalError(`an event is longer than ${maxLineBytes} bytes`)
    const whole = lines.filter((line) => line !== '')
    if (whole.length > 0) yield whole
  }
}

type WireEvent = { readonly type: WatchEvent['type'] | 'BOOKMARK'; readonly object: ApiObject }

function parseEvent(line: string): WireEvent {
  const { type, object } = JSON.parse(line) as { type: string; object: unknown }
  if (type === 'ERROR') throw isStatus(object) ? new StatusError(object) : expired('the watch ended with an error')
  return { type, object } as WireEvent
}

const isChange = (event: WireEvent): event is WatchEvent => event.type !== 'BOOKMARK'
