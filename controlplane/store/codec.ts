import { kindOf } from '../../api/kinds/registry.ts'
import { rememberJson } from '../../api/meta/json-of.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { parseObjectKey } from './keys.ts'
import type { KeyValue } from './store.ts'

/** What encrypted values begin with; no JSON object does. */
export const encryptionMark = 'skiff:enc:'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** What is stored of an object: its JSON without the resource version, which is the revision it is stored at (law 3). */
export function encodeObject(object: ApiObject): Uint8Array {
  const { apiVersion, kind, metadata: all, ...rest } = object
  const { resourceVersion: _, ...metadata } = all
  // In this order, so that where the metadata begin is known without a look: see `decodeObject`.
  return encoder.encode(JSON.stringify({ apiVersion, kind, metadata, ...rest }))
}

/** What the values of a kind begin with. */
const heads = new Map<string, Buffer>()
const headsLimit = 500

function headOf({ apiVersion, kind }: ApiObject): Buffer {
  const name = `${apiVersion} ${kind}`
  const known = heads.get(name)
  if (known !== undefined) return known
  const head = Buffer.from(`{"apiVersion":${JSON.stringify(apiVersion)},"kind":${JSON.stringify(kind)},"metadata":{`)
  if (heads.size < headsLimit) heads.set(name, head)
  return head
}

/** The JSON of an object as clients get it, from the stored bytes: its revision is put in, nothing is made anew. */
function withRevision(value: Uint8Array, { head, revision }: { head: Buffer; revision: string }): Uint8Array {
  const isEmpty = value[head.length] === closingBrace
  return Buffer.concat([head, Buffer.from(`"resourceVersion":"${revision}"${isEmpty ? '' : ','}`), value.subarray(head.length)])
}

const closingBrace = 0x7d
const startsWith = (value: Uint8Array, head: Buffer): boolean =>
  value.length > head.length && head.compare(value, 0, head.length) === 0

/**
 * The object of a stored value, deep-frozen, with its revision as resource version. Throws an error that names the key
 * when the value is not that object's JSON: a damaged value must never pass as an object.
 */
export function decodeObject(item: KeyValue): ApiObject {
  try {
    if (isEncrypted(item.value)) throw new Error('it is encrypted with an unknown key, or was changed or moved since')
    const parsed: unknown = JSON.parse(decoder.decode(item.value))
    if (!isObject(parsed)) throw new Error('it is no API object')
    checkPlace(item.key, parsed)
    const revision = String(item.modRevision)
    const object = deepFreeze({ ...parsed, metadata: { ...parsed.metadata, resourceVersion: revision } })
    const head = headOf(object)
    if (startsWith(item.value, head)) rememberJson(object, () => withRevision(item.value, { head, revision }))
    return object
  } catch (err) {
    throw new Error(`the value of "${item.key}" is damaged: ${err instanceof Error ? err.message : String(err)}`, { cause: err })
  }
}

/** The last state of a deleted object, with the deletion's revision. */
export function tombstone<O extends ApiObject>(last: O, revision: number): O {
  return deepFreeze({ ...last, metadata: { ...last.metadata, resourceVersion: String(revision) } })
}

/** Freezes what JSON can hold, at any depth. What is frozen already is taken as frozen throughout. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  if (Array.isArray(value)) {
    for (const part of value) if (typeof part === 'object') deepFreeze(part)
  } else {
    for (const key in value) if (typeof value[key] === 'object') deepFreeze(value[key])
  }
  return value
}

function isEncrypted(value: Uint8Array): boolean {
  return (
    Buffer.from(value.buffer, value.byteOffset, Math.min(value.byteLength, encryptionMark.length)).toString('latin1') ===
    encryptionMark
  )
}

function isObject(value: unknown): value is ApiObject {
  if (typeof value !== 'object' || value === null) return false
  const { apiVersion, kind, metadata } = value as Readonly<Record<string, unknown>>
  return typeof apiVersion === 'string' && typeof kind === 'string' && typeof metadata === 'object' && metadata !== null
}

function checkPlace(key: string, { apiVersion, kind, metadata }: ApiObject): void {
  const place = parseObjectKey(key)
  if (place === undefined) throw new Error('it does not lie where objects lie')
  const known = kindOf(apiVersion, kind)
  if (known !== undefined && (known.plural !== place.plural || known.group !== place.group))
    throw new Error(`it holds a ${kind} in ${apiVersion}`)
  if (metadata.name !== place.name || (metadata.namespace || undefined) !== place.namespace) {
    throw new Error(`it holds the object "${metadata.namespace ?? ''}/${metadata.name ?? ''}"`)
  }
}
