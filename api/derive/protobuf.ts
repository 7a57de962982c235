import { kindOf } from '../kinds/registry.ts'
import { unsupportedMediaType } from '../meta/status.ts'
import { bodySchema } from './protobuf-bodies.ts'
import { readSpecial, readText } from './protobuf-special.ts'
import { malformed, readFields, readVarint, type WireField } from './protobuf-wire.ts'
import { type SchemaNode, schemaNode } from './schema-node.ts'

/**
 * Kubernetes' protobuf encoding of request bodies: many commands of kubectl send nothing else. The wire has no names,
 * so the numbers come from the schemas (`x-proto`); the result is what the same client would have sent as JSON.
 */
export const protobufMediaType = 'application/vnd.kubernetes.protobuf'

/** `k8s\0`, what every body begins with. */
const magic = [0x6b, 0x38, 0x73, 0x00] as const

const depthLimit = 64
/** Fields of one body: an empty list item needs two bytes on the wire, but some hundred in memory. */
const fieldLimit = 200_000

/**
 * A body as JSON: an object with `apiVersion` and `kind`. Throws BadRequest when it is malformed, and
 * UnsupportedMediaType when its kind is not known here: the numbers of its fields are not either.
 */
export function decodeProtobuf(body: Uint8Array): Readonly<Record<string, unknown>> {
  if (!magic.every((byte, index) => body[index] === byte)) throw malformed('it does not begin with "k8s\\0"')
  const { apiVersion, kind, raw, contentType, contentEncoding } = readEnvelope(body.subarray(magic.length))
  if (contentEncoding !== '') throw malformed(`the content encoding "${contentEncoding}" is not supported`)
  if (contentType !== '' && contentType !== protobufMediaType) throw malformed(`it contains ${contentType}`)
  const known = kindOf(apiVersion, kind)
  const schema = known === undefined ? bodySchema(apiVersion, kind) : schemaNode(known.schema)
  if (schema === undefined) throw unsupportedMediaType(`${kind} in ${apiVersion} is not known as protobuf, send JSON`)
  return { ...readMessage(schema, raw, { depth: 0, budget: { fields: fieldLimit } }), apiVersion, kind }
}

/** Kubernetes: runtime.Unknown. */
function readEnvelope(bytes: Uint8Array) {
  const envelope = { apiVersion: '', kind: '', raw: new Uint8Array(), contentType: '', contentEncoding: '' }
  for (const field of readFields(bytes)) {
    if (field.wire !== 'bytes') continue
    if (field.tag === 1) Object.assign(envelope, readTypeMeta(field.value))
    else if (field.tag === 2) envelope.raw = new Uint8Array(field.value)
    else if (field.tag === 3) envelope.contentEncoding = readText(field.value)
    else if (field.tag === 4) envelope.contentType = readText(field.value)
  }
  return envelope
}

function readTypeMeta(bytes: Uint8Array): { apiVersion: string; kind: string } {
  const type = { apiVersion: '', kind: '' }
  for (const field of readFields(bytes)) {
    if (field.wire !== 'bytes') continue
    if (field.tag === 1) type.apiVersion = readText(field.value)
    else if (field.tag === 2) type.kind = readText(field.value)
  }
  return type
}

interface Place {
  readonly depth: number
  /** Counts down over the whole body. */
  readonly budget: { fields: number }
}

interface Entry {
  readonly name: string
  readonly schema: SchemaNode
  readonly isRequired: boolean
}

/** What the numbers of a message mean. `inside`: messages that JSON does not show, whose fields stand in their parent. */
interface Layout {
  readonly fields: ReadonlyMap<number, Entry>
  readonly inside: ReadonlyMap<number, ReadonlyMap<number, Entry>>
}

const layouts = new WeakMap<SchemaNode, Layout>()

function layoutOf(schema: SchemaNode): Layout {
  const known = layouts.get(schema)
  if (known !== undefined) return known
  const fields = new Map<number, Entry>()
  const inside = new Map<number, Map<number, Entry>>()
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const { 'x-proto': tag, 'x-proto-in': within } = field
    if (tag === undefined) continue
    const entry = { name, schema: field, isRequired: schema.required?.includes(name) === true }
    if (within === undefined) fields.set(tag, entry)
    else inside.set(within, (inside.get(within) ?? new Map<number, Entry>()).set(tag, entry))
  }
  const layout = { fields, inside }
  layouts.set(schema, layout)
  return layout
}

function readMessage(schema: SchemaNode, bytes: Uint8Array, place: Place): Record<string, unknown> {
  if (place.depth > depthLimit) throw malformed(`it is nested deeper than ${depthLimit} levels`)
  const { fields, inside } = layoutOf(schema)
  const object: Record<string, unknown> = {}
  for (const field of readFields(bytes)) {
    const hidden = inside.get(field.tag)
    if (hidden === undefined) readInto(object, fields, field, place)
    else if (field.wire === 'bytes') for (const inner of readFields(field.value)) readInto(object, hidden, inner, place)
  }
  return object
}

/** A number that the schema does not know is passed over, as every protobuf decoder does. */
function readInto(object: Record<string, unknown>, layout: ReadonlyMap<number, Entry>, field: WireField, place: Place): void {
  place.budget.fields -= 1
  if (place.budget.fields < 0) throw malformed(`it has more than ${fieldLimit} fields`)
  const entry = layout.get(field.tag)
  if (entry === undefined) return
  const { name, schema, isRequired } = entry
  if (schema.type === 'array') {
    const list = Array.isArray(object[name]) ? (object[name] as unknown[]) : []
    for (const item of readItems(schema.items ?? {}, field, place)) list.push(item)
    object[name] = list
    return
  }
  if (isMap(schema)) {
    object[name] = addMapEntry(object[name], schema.additionalProperties, field, place)
    return
  }
  const value = readValue(schema, field, place, name)
  // Go writes every field that is no pointer, also those without a value.
  if (value === undefined || (isZero(value) && schema['x-pointer'] !== true && !isRequired)) return
  object[name] = value
}

const isZero = (value: unknown): boolean => value === '' || value === 0 || value === false

type MapNode = SchemaNode & { readonly additionalProperties: SchemaNode }
const isMap = (schema: SchemaNode): schema is MapNode => typeof schema.additionalProperties === 'object'

/** Numbers may come packed into one field. */
function readItems(items: SchemaNode, field: WireField, place: Place): readonly unknown[] {
  const isNumber = items.type === 'integer' || items.type === 'boolean'
  if (!isNumber || field.wire !== 'bytes') return [readValue(items, field, place, 'item') ?? {}]
  const values: unknown[] = []
  for (let at = 0; at < field.value.length; ) {
    const { value, end } = readVarint(field.value, at)
    values.push(readValue(items, { tag: field.tag, wire: 'varint', value }, place, 'item'))
    at = end
  }
  return values
}

/** A map is a list of messages of a key (1) and a value (2). */
function addMapEntry(before: unknown, values: SchemaNode, field: WireField, place: Place): Readonly<Record<string, unknown>> {
  if (field.wire !== 'bytes') throw malformed(`field ${field.tag} is no map`)
  let key = ''
  let value: unknown = values.type === 'string' ? '' : undefined
  for (const part of readFields(field.value)) {
    if (part.tag === 1 && part.wire === 'bytes') key = readText(part.value)
    else if (part.tag === 2) value = readValue(values, part, place, key)
  }
  const map = (before ?? {}) as Record<string, unknown>
  // Not by assignment: a key may be called like the way to the prototype, and must not lead there.
  Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true })
  return map
}

/** Undefined: there is no value, as of a time that is not set. */
function readValue(schema: SchemaNode, field: WireField, place: Place, name: string): unknown {
  const special = readSpecial(schema['x-proto-type'], field, name)
  if (special !== 'plain') return special.value
  const [type] = [schema.type].flat()
  switch (type) {
    case 'string':
      return readText(bytesOf(field, name))
    case 'boolean':
      return numberOf(field, name) !== 0n
    case 'integer':
      return Number(BigInt.asIntN(64, numberOf(field, name)))
    case 'number':
      return readFloat(field, name)
    default:
      return readObject(schema, bytesOf(field, name), place)
  }
}

/** Of an object that is known by name only, it matters that it is there when it is to be refused. */
function readObject(schema: SchemaNode, bytes: Uint8Array, { depth, budget }: Place): unknown {
  if (schema.properties !== undefined) return readMessage(schema, bytes, { depth: depth + 1, budget })
  return schema['x-skiff'] === 'refused' || schema['x-skiff'] === undefined ? {} : undefined
}

function readFloat(field: WireField, name: string): number {
  if (field.wire !== 'fixed64' && field.wire !== 'fixed32') throw malformed(`${name} is no number`)
  const view = new DataView(field.value.buffer, field.value.byteOffset, field.value.byteLength)
  return field.wire === 'fixed64' ? view.getFloat64(0, true) : view.getFloat32(0, true)
}

function bytesOf(field: WireField, name: string): Uint8Array {
  if (field.wire !== 'bytes') throw malformed(`${name} has not the right wire type`)
  return field.value
}

function numberOf(field: WireField, name: string): bigint {
  if (field.wire !== 'varint') throw malformed(`${name} has not the right wire type`)
  return field.value
}
