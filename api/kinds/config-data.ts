import { dequal } from 'dequal'
import { wrongConfigKey } from '../meta/names.ts'
import { forbiddenField } from '../meta/status.ts'
import { checkName, type Wrong } from './rules.ts'

/** What ConfigMaps and Secrets have in common. */
type Data = Readonly<Record<string, string>>

const maxBytes = 1024 * 1024

export function* checkData(field: string, data: Data): Wrong {
  for (const key of Object.keys(data)) yield* checkName(`${field}[${key}]`, key, wrongConfigKey)
}

export function* checkDataSize(field: string, bytes: number): Wrong {
  if (bytes > maxBytes) yield { field, type: 'FieldValueTooLong', detail: `may not be more than ${maxBytes} bytes` }
}

export function textSize(data: Data): number {
  return Object.values(data).reduce((sum, text) => sum + new TextEncoder().encode(text).length, 0)
}

/** Bytes of base64 values once decoded. */
export function base64Size(data: Data): number {
  return Object.values(data).reduce((sum, text) => sum + Math.floor((text.replace(/[=\s]+/g, '').length * 3) / 4), 0)
}

interface Immutable {
  readonly immutable?: boolean
  readonly data?: Data
  readonly binaryData?: Data
}

/** `immutable` is a promise to nodes that they need not watch: it cannot be taken back. */
export function* checkImmutable(now: Immutable, old: Immutable, keys: readonly ('data' | 'binaryData')[]): Wrong {
  if (old.immutable !== true) return
  if (now.immutable !== true) yield forbiddenField('immutable', 'field is immutable when `immutable` is set')
  for (const key of keys) {
    if (!dequal(now[key] ?? {}, old[key] ?? {})) yield forbiddenField(key, 'field is immutable when `immutable` is set')
  }
}

/** Text to the base64 of its UTF-8 bytes. */
export function toBase64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''))
}

/** The text of base64 bytes; what is not UTF-8 is replaced, what is not base64 is empty. */
export function fromBase64(base64: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)))
  } catch {
    return ''
  }
}
