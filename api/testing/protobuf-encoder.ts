import type { SchemaNode } from '../derive/schema-node.ts'

/** The encoder that a Go client has, by the same schemas: for tests of the decoder. */
export function encodeProtobuf(schema: SchemaNode, object: Readonly<Record<string, unknown>>): Uint8Array {
  const typeMeta = concat([text(1, String(object['apiVersion'])), text(2, String(object['kind']))])
  const { apiVersion: _, kind: __, ...rest } = object
  const envelope = concat([delimited(1, typeMeta), delimited(2, encodeMessage(schema, rest)), text(3, ''), text(4, '')])
  return concat([Uint8Array.of(0x6b, 0x38, 0x73, 0), envelope])
}

const utf8 = new TextEncoder()

const concat = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]))

function varint(value: bigint): Uint8Array {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Uint8Array.from(bytes)
}

const key = (tag: number, wire: number): Uint8Array => varint((BigInt(tag) << 3n) | BigInt(wire))
const number = (tag: number, value: number | bigint): Uint8Array => concat([key(tag, 0), varint(BigInt(value))])
const delimited = (tag: number, bytes: Uint8Array): Uint8Array => concat([key(tag, 2), varint(BigInt(bytes.length)), bytes])
const text = (tag: number, value: string): Uint8Array => delimited(tag, utf8.encode(value))

function encodeMessage(schema: SchemaNode, object: Readonly<Record<string, unknown>>): Uint8Array {
  const inside = new Map<number, Uint8Array[]>()
  const fields: Uint8Array[] = []
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const { 'x-proto': tag, 'x-proto-in': within } = field
    const value = object[name]
    if (tag === undefined || value === undefined) continue
    const encoded = encodeField(field, tag, value)
    if (within === undefined) fields.push(encoded)
    else inside.set(within, [...(inside.get(within) ?? []), encoded])
  }
  return concat([...fields, ...[...inside].map(([tag, parts]) => delimited(tag, concat(parts)))])
}

function encodeField(schema: SchemaNode, tag: number, value: unknown): Uint8Array {
  if (Array.isArray(value)) return concat(value.map((item: unknown) => encodeField(schema.items ?? {}, tag, item)))
  if (typeof schema.additionalProperties === 'object') {
    const values = schema.additionalProperties
    return concat(
      Object.entries(value as object).map(([k, v]) => delimited(tag, concat([text(1, k), encodeField(values, 2, v)]))),
    )
  }
  if (schema['x-proto-type'] !== undefined) return delimited(tag, encodeSpecial(schema['x-proto-type'], value as string | number))
  if (typeof value === 'string') return text(tag, value)
  if (typeof value === 'number' || typeof value === 'boolean') return number(tag, Number(value))
  return delimited(tag, encodeMessage(schema, value as Readonly<Record<string, unknown>>))
}

function encodeSpecial(type: string, value: string | number): Uint8Array {
  switch (type) {
    case 'bytes':
      return Uint8Array.from(atob(String(value)), (char) => char.charCodeAt(0))
    case 'Quantity':
      return text(1, String(value))
    case 'IntOrString':
      return concat(
        typeof value === 'number' ? [number(1, 0), number(2, value), text(3, '')] : [number(1, 1), number(2, 0), text(3, value)],
      )
    default: {
      const [, fraction = ''] = /\.(\d+)Z$/.exec(String(value)) ?? []
      return concat([number(1, Math.floor(Date.parse(String(value)) / 1000)), number(2, Number(fraction.padEnd(9, '0')))])
    }
  }
}
