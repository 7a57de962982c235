import type { Http2ServerRequest } from 'node:http2'
import { type Document, parseDocument } from 'yaml'
import { decodeProtobuf, protobufMediaType } from '../../api/derive/protobuf.ts'
import type { FieldValidation, PatchType } from '../../api/meta/request.ts'
import { badRequest, tooLarge, unsupportedMediaType } from '../../api/meta/status.ts'
import { strangersYaml, tooMuchYaml, yamlProblem } from '../../api/meta/yaml.ts'
import { depthLimit, parseJson } from './json-text.ts'

export interface Body {
  readonly value: unknown
  readonly warnings: readonly string[]
  readonly patchType: PatchType | undefined
}

const patchTypes: Readonly<Record<string, PatchType>> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
}

/** Reads a request's body, at most `limit` bytes of it. Throws RequestEntityTooLarge beyond. */
export async function readBytes(request: Http2ServerRequest, limit: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity')
    throw unsupportedMediaType(`the content encoding "${String(encoding).slice(0, 100)}" is not supported`)
  const said = Number(request.headers['content-length'] ?? 0)
  if (said > limit) throw tooLarge(`the body has ${said} bytes, and at most ${limit} are taken`)
  const chunks: Buffer[] = []
  let size = 0
  return await new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      chunks.push(chunk)
      if (size <= limit) return
      request.pause()
      reject(tooLarge(`the body has more than ${limit} bytes`))
    })
    request.once('end', () => resolve(chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks)))
    request.once('error', reject)
    request.once('close', () => {
      // It comes after each body, and an error that nobody gets costs as much as reading a small body.
      if (!request.readableEnded) reject(new Error('the body was cut off'))
    })
  })
}

export const mediaTypeOf = (header: string | undefined): string => (header?.split(';')[0] ?? '').trim().toLowerCase()

/** A body as the value that it stands for, by its media type. */
export function parseBody(
  bytes: Buffer,
  contentType: string | undefined,
  { method, fieldValidation }: { method: string; fieldValidation: FieldValidation | undefined },
): Body {
  const type = mediaTypeOf(contentType)
  if (method === 'PATCH') return { ...parsedJson(textOf(bytes), fieldValidation), patchType: patchTypeOf(type) }
  const patchType = undefined
  if (bytes.length === 0) return { value: undefined, warnings: [], patchType }
  switch (type) {
    case '':
    case 'application/json':
      return { ...parsedJson(textOf(bytes), fieldValidation), patchType }
    case 'application/yaml':
      return { value: parsedYaml(bytes), warnings: [], patchType }
    case protobufMediaType:
      return { value: decodeProtobuf(bytes), warnings: [], patchType }
    default:
      throw unsupportedMediaType(
        `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, ${protobufMediaType}`,
      )
  }
}

function patchTypeOf(type: string): PatchType {
  const patchType = Object.hasOwn(patchTypes, type) ? patchTypes[type] : undefined
  if (patchType !== undefined) return patchType
  const supported = Object.keys(patchTypes).join(', ')
  if (type.startsWith('application/apply-patch'))
    throw unsupportedMediaType(
      `server-side apply is not supported by Skiff yet: apply without --server-side (supported patches: ${supported})`,
    )
  throw unsupportedMediaType(`the body of the request was in an unknown format - accepted media types include: ${supported}`)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw badRequest('the body is not UTF-8')
  }
}

function parsedJson(text: string, fieldValidation: FieldValidation = 'Warn'): Pick<Body, 'value' | 'warnings'> {
  const { value, duplicates } = parseJson(text)
  const told = duplicates.map((path) => `duplicate field "${path}"`)
  if (fieldValidation === 'Strict' && told.length > 0) throw badRequest(`strict decoding error: ${told.join(', ')}`)
  return { value, warnings: fieldValidation === 'Warn' ? told : [] }
}

const aliasLimit = 100
/** The parser takes some 20 times as long as that of JSON, and nothing else runs meanwhile. */
const yamlLimit = 256 * 1024
/** The parser spends some 10 µs on each piece, and this often on what an alias stands for. */
const yamlBounds = { levels: depthLimit, pieces: 50_000, aliased: 1_000_000 }

function parsedYaml(bytes: Buffer): unknown {
  if (bytes.length > yamlLimit)
    throw tooLarge(`the body has ${bytes.length} bytes of YAML, and at most ${yamlLimit} are taken: send JSON`)
  const text = textOf(bytes)
  try {
    // Looked through first: the reader calls itself for each level, and can end the process.
    const wrong = tooMuchYaml(text, yamlBounds)
    if (wrong !== undefined) throw badRequest(wrong.message)
    // Once more through JSON: what a manifest can hold, without aliases to the same object, and no deeper than JSON may be.
    return parseJson(JSON.stringify(documentOf(text).toJS({ maxAliasCount: aliasLimit })) ?? 'null').value
  } catch (err) {
    throw badRequest(`the body is no valid YAML: ${err instanceof Error ? err.message.split('\n')[0] : 'cannot be read'}`)
  }
}

function documentOf(text: string): Document.Parsed {
  const document = parseDocument(text, strangersYaml)
  const problem = yamlProblem(document)
  if (problem !== undefined) throw at(text, problem.offset, problem.message)
  return document
}

function at(text: string, offset: number, message: string): Error {
  const before = text.slice(0, offset).split('\n')
  return new Error(`line ${before.length}, column ${(before.at(-1) ?? '').length + 1}: ${message}`)
}
