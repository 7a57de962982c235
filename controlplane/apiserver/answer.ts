import type { Http2ServerResponse } from 'node:http2'
import type { IncludeObject } from '../../api/derive/table.ts'
import { toTable } from '../../api/derive/table.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import { jsonOf } from '../../api/meta/json-of.ts'
import type { ApiList, ApiObject } from '../../api/meta/object-meta.ts'
import type { ApiResponse } from '../../api/meta/request.ts'
import { internalError, type Status, StatusError } from '../../api/meta/status.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { writeThrough } from '../../lib/writable.ts'
import type { Form } from './negotiate.ts'

export interface Shape {
  readonly kind: KindDef
  readonly form: Form
  readonly includeObject: IncludeObject
  readonly nowMs: number
}

type Body = Uint8Array | string
type Headers = Readonly<Record<string, string | readonly string[]>>

const usualHeaders = { 'content-type': 'application/json', 'cache-control': 'no-cache, private' } as const

export function send(response: Http2ServerResponse, code: number, body: Body, headers: Headers = {}): void {
  if (response.headersSent || response.destroyed) return
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  response.writeHead(code, { ...usualHeaders, ...headers, 'content-length': String(bytes.length) })
  response.end(bytes)
}

/** Sends the head of an answer at once, before there is any body. */
export function begin(response: Http2ServerResponse, contentType: string): void {
  if (response.headersSent) return
  response.setHeader('content-type', contentType)
  response.setHeader('cache-control', 'no-cache, private')
  response.writeHead(200)
  // HTTP/1.1 would wait for the first bytes.
  const early: { flushHeaders?: () => void } = response as object
  early.flushHeaders?.()
}

export function sendError(response: Http2ServerResponse, err: unknown): Status {
  const status = statusOf(err)
  const seconds = status.details?.retryAfterSeconds
  send(response, status.code, JSON.stringify(status), seconds === undefined ? {} : { 'retry-after': String(seconds) })
  return status
}

export const statusOf = (err: unknown): Status =>
  err instanceof StatusError ? err.status : internalError('the request failed; the log of the control plane says why').status

export async function sendAnswer(
  response: Http2ServerResponse,
  { code, body, warnings }: ApiResponse,
  shape: Shape,
  opts: AbortOptions,
): Promise<void> {
  if (isList(body) && shape.form !== 'table')
    await sendList(response, listed(body, shape), { code, headers: warningHeaders(warnings), ...opts })
  else send(response, code, bytesOf(body, shape), warningHeaders(warnings))
}

const listed = (body: ApiList, { form }: Shape): ApiList =>
  form === 'metadata'
    ? { ...body, kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', items: body.items.map(partial) }
    : body

/** So much of a list is put together at a time. */
const pieceBytes = 256 * 1024
/** So much is sent without looking whether the client takes it, as single objects are. */
const smallBytes = 64 * 1024
/** Kept for the next list: made anew for each, 20 MB of a long list would call the garbage collector for every third. */
const spareBuffers: Buffer[] = []
const spareLimit = 4

/**
 * The items' own bytes, which watchers and other lists share. They go out in pieces, as fast as the client takes them:
 * a large list is never held as a whole, and others are answered in between.
 */
async function sendList(
  response: Http2ServerResponse,
  list: ApiList,
  { code, headers, signal }: AbortOptions & { code: number; headers: Headers },
): Promise<void> {
  if (response.headersSent || response.destroyed) return
  const { kind, apiVersion, metadata, items } = list
  const head = Buffer.from(`${JSON.stringify({ kind, apiVersion, metadata }).slice(0, -1)},"items":[`)
  const bytes: Uint8Array[] = []
  let length = head.length + Math.max(0, items.length - 1) + tail.length
  for (const item of items) {
    const one = jsonOf(item)
    length += one.length
    bytes.push(one)
  }
  response.writeHead(code, { ...usualHeaders, ...headers, 'content-length': String(length) })
  if (length <= smallBytes) {
    const [whole = head] = piecesOf(head, bytes, Buffer.allocUnsafe(length + comma.length))
    response.end(whole)
    return
  }
  const buffer = spareBuffers.pop() ?? Buffer.allocUnsafeSlow(pieceBytes)
  for (const piece of piecesOf(head, bytes, buffer))
    await writeThrough(response as unknown as Parameters<typeof writeThrough>[0], piece, { signal })
  response.end()
  // Not after a failure: the connection may still read it then.
  if (spareBuffers.length < spareLimit) spareBuffers.push(buffer)
}

const tail = Buffer.from(']}')

/** Each is overwritten by the next. */
function* piecesOf(head: Uint8Array, items: readonly Uint8Array[], buffer: Buffer): Generator<Uint8Array, void, void> {
  buffer.set(head)
  let size = head.length
  for (const [index, item] of items.entries()) {
    // With room for what may stand before and behind it.
    if (size + comma.length + item.length + tail.length > buffer.length && size > 0) {
      yield buffer.subarray(0, size)
      size = 0
    }
    if (index > 0) size += comma.copy(buffer, size)
    if (size + item.length + tail.length <= buffer.length) {
      buffer.set(item, size)
      size += item.length
    } else {
      if (size > 0) yield buffer.subarray(0, size)
      yield item
      size = 0
    }
  }
  size += tail.copy(buffer, size)
  yield buffer.subarray(0, size)
}

const isList = (body: ApiResponse['body']): body is ApiList => 'items' in body && Array.isArray(body.items)
const isStatus = (body: ApiResponse['body']): body is Status => body.kind === 'Status' && !isList(body)

function bytesOf(body: ApiResponse['body'], { kind, form, includeObject, nowMs }: Shape): Uint8Array | string {
  if (isStatus(body)) return JSON.stringify(body)
  if (isList(body)) return JSON.stringify(toTable(kind, body.items, body.metadata, { includeObject, nowMs, withColumns: true }))
  // A Scale is no object of the kind.
  if (body.kind !== kind.kind || form === 'json') return jsonOf(body)
  if (form === 'metadata') return JSON.stringify(partial(body))
  const metadata = { resourceVersion: body.metadata.resourceVersion ?? '' }
  return JSON.stringify(toTable(kind, [body], metadata, { includeObject, nowMs, withColumns: true }))
}

export const partial = ({ metadata }: ApiObject): ApiObject => ({
  kind: 'PartialObjectMetadata',
  apiVersion: 'meta.k8s.io/v1',
  metadata,
})

const comma = Buffer.from(',')

const warningsLimit = 16

function warningHeaders(warnings: readonly string[]): Readonly<Record<string, readonly string[]>> {
  if (warnings.length === 0) return {}
  const clean = (text: string): string =>
    text
      .slice(0, 500)
      .replaceAll(/[^ -~]/g, '?')
      .replaceAll(/["\\]/g, '\\$&')
  return { warning: warnings.slice(0, warningsLimit).map((text) => `299 - "${clean(text)}"`) }
}
