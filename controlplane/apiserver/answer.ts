import type { Http2ServerResponse } from 'node:http2'
import type { IncludeObject } from '../../api/derive/table.ts'
import { toTable } from '../../api/derive/table.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import { jsonOf } from '../../api/meta/json-of.ts'
import type { ApiList, ApiObject } from '../../api/meta/object-meta.ts'
import type { ApiResponse } from '../../api/meta/request.ts'
import { internalError, type Status, StatusError } from '../../api/meta/status.ts'
import type { Form } from './negotiate.ts'

export interface Shape {
  readonly kind: KindDef
  readonly form: Form
  readonly includeObject: IncludeObject
  readonly nowMs: number
}

type Body = Uint8Array | string

export function send(
  response: Http2ServerResponse,
  code: number,
  body: Body,
  headers: Readonly<Record<string, string | readonly string[]>> = {},
): void {
  if (response.headersSent || response.destroyed) return
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  response.writeHead(code, {
    'content-type': 'application/json',
    'cache-control': 'no-cache, private',
    ...headers,
    'content-length': String(bytes.length),
  })
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

export function sendAnswer(response: Http2ServerResponse, { code, body, warnings }: ApiResponse, shape: Shape): void {
  send(response, code, bytesOf(body, shape), warningHeaders(warnings))
}

const isList = (body: ApiResponse['body']): body is ApiList => 'items' in body && Array.isArray(body.items)
const isStatus = (body: ApiResponse['body']): body is Status => body.kind === 'Status' && !isList(body)

function bytesOf(body: ApiResponse['body'], { kind, form, includeObject, nowMs }: Shape): Uint8Array | string {
  if (isStatus(body)) return JSON.stringify(body)
  if (isList(body)) {
    if (form === 'table')
      return JSON.stringify(toTable(kind, body.items, body.metadata, { includeObject, nowMs, withColumns: true }))
    return form === 'metadata'
      ? listBytes({ ...body, kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', items: body.items.map(partial) })
      : listBytes(body)
  }
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

/** The items' own bytes, which watchers and other lists share. */
function listBytes({ kind, apiVersion, metadata, items }: ApiList): Uint8Array {
  const head = JSON.stringify({ kind, apiVersion, metadata })
  const parts = items.flatMap((item, index) => (index === 0 ? [jsonOf(item)] : [comma, jsonOf(item)]))
  return Buffer.concat([Buffer.from(`${head.slice(0, -1)},"items":[`), ...parts, Buffer.from(']}')])
}

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
