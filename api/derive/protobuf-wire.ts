import { badRequest } from '../meta/status.ts'

/** One field as it stands in a message: its number and its value, not yet understood. */
export type WireField =
  | { readonly tag: number; readonly wire: 'varint'; readonly value: bigint }
  | { readonly tag: number; readonly wire: 'fixed64' | 'fixed32' | 'bytes'; readonly value: Uint8Array }

export const malformed = (why: string): Error => badRequest(`the body is no valid protobuf message: ${why}`)

/** The fields of a message in their order. Throws BadRequest when the bytes are no message. */
export function* readFields(bytes: Uint8Array): Generator<WireField> {
  let at = 0
  while (at < bytes.length) {
    const key = readVarint(bytes, at)
    const tag = Number(key.value >> 3n)
    if (tag < 1 || tag > 536_870_911) throw malformed(`there is no field ${tag}`)
    const field = readValue(bytes, key.end, Number(key.value & 7n), tag)
    at = field.end
    yield field.field
  }
}

interface Read<T> {
  readonly value: T
  /** Where the next thing begins. */
  readonly end: number
}

const varintLimit = 10

export function readVarint(bytes: Uint8Array, start: number): Read<bigint> {
  let value = 0n
  for (let index = 0; index < varintLimit; index++) {
    const byte = bytes[start + index]
    if (byte === undefined) throw malformed('it ends inside a number')
    value |= BigInt(byte & 0x7f) << BigInt(7 * index)
    if (byte < 0x80) return { value: BigInt.asUintN(64, value), end: start + index + 1 }
  }
  throw malformed(`a number is longer than ${varintLimit} bytes`)
}

function readValue(bytes: Uint8Array, at: number, wireType: number, tag: number): { field: WireField; end: number } {
  switch (wireType) {
    case 0: {
      const { value, end } = readVarint(bytes, at)
      return { field: { tag, wire: 'varint', value }, end }
    }
    case 1:
      return { field: { tag, wire: 'fixed64', value: slice(bytes, at, 8) }, end: at + 8 }
    case 2: {
      const { value, end } = readVarint(bytes, at)
      if (value > BigInt(bytes.length)) throw malformed('a field is longer than the body')
      const length = Number(value)
      return { field: { tag, wire: 'bytes', value: slice(bytes, end, length) }, end: end + length }
    }
    case 5:
      return { field: { tag, wire: 'fixed32', value: slice(bytes, at, 4) }, end: at + 4 }
    default:
      throw malformed(`field ${tag} has the unknown wire type ${wireType}`)
  }
}

function slice(bytes: Uint8Array, start: number, length: number): Uint8Array {
  if (start + length > bytes.length) throw malformed('it ends inside a field')
  return bytes.subarray(start, start + length)
}
