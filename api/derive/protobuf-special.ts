import { malformed, readFields, type WireField } from './protobuf-wire.ts'

/** A value that travels otherwise than its JSON form suggests (`x-proto-type`); `plain` when it does not. */
export function readSpecial(type: string | undefined, field: WireField, name: string): { readonly value: unknown } | 'plain' {
  if (type === undefined) return 'plain'
  if (field.wire !== 'bytes') throw malformed(`${name} has not the right wire type`)
  switch (type) {
    case 'bytes':
      return { value: toBase64(field.value) }
    case 'Time':
      return { value: readTime(field.value, name, 0) }
    case 'MicroTime':
      return { value: readTime(field.value, name, 6) }
    case 'Quantity':
      return { value: readQuantity(field.value) }
    case 'IntOrString':
      return { value: readIntOrString(field.value) }
    default:
      return 'plain'
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function readText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw malformed('a text is not UTF-8')
  }
}

/** Far from what a string can hold as arguments of one call. */
const chunk = 8192

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += chunk) binary += String.fromCharCode(...bytes.subarray(at, at + chunk))
  return btoa(binary)
}

/** The numbers of a message, by field; absent ones are zero. */
function readNumbers(bytes: Uint8Array): ReadonlyMap<number, bigint> {
  const numbers = new Map<number, bigint>()
  for (const field of readFields(bytes)) {
    if (field.wire === 'varint') numbers.set(field.tag, BigInt.asIntN(64, field.value))
  }
  return numbers
}

/** The years 0 to 9999: what RFC 3339 can write. */
const firstSecond = -62_167_219_200n
const lastSecond = 253_402_300_799n

/** Seconds and nanoseconds since 1970; both zero stand for no time at all. */
function readTime(bytes: Uint8Array, name: string, fractionDigits: number): string | undefined {
  const numbers = readNumbers(bytes)
  const seconds = numbers.get(1) ?? 0n
  const nanos = numbers.get(2) ?? 0n
  if (seconds === 0n && nanos === 0n) return undefined
  if (seconds < firstSecond || seconds > lastSecond || nanos < 0n || nanos > 999_999_999n) throw malformed(`${name} is no time`)
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
  if (fractionDigits === 0) return `${text}Z`
  return `${text}.${String(nanos).padStart(9, '0').slice(0, fractionDigits)}Z`
}

function readQuantity(bytes: Uint8Array): string | undefined {
  for (const field of readFields(bytes)) if (field.tag === 1 && field.wire === 'bytes') return readText(field.value)
  return undefined
}

/** 1: which of the two; 2: the number; 3: the text. The zero of Go is the number 0. */
function readIntOrString(bytes: Uint8Array): number | string {
  let isText = false
  let number = 0
  let text = ''
  for (const field of readFields(bytes)) {
    if (field.tag === 1 && field.wire === 'varint') isText = field.value === 1n
    else if (field.tag === 2 && field.wire === 'varint') number = Number(BigInt.asIntN(64, field.value))
    else if (field.tag === 3 && field.wire === 'bytes') text = readText(field.value)
  }
  return isText ? text : number
}
