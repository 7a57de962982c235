import type { ApiObject } from './object-meta.ts'

const encoder = new TextEncoder()
const encoded = new WeakMap<ApiObject, Uint8Array>()

/**
 * The object's JSON in UTF-8, made at the first call and kept for as long as the object lives: hundreds of watchers
 * share one copy. Only frozen objects are remembered, since others could change meanwhile.
 */
export function jsonOf(object: ApiObject): Uint8Array {
  const known = encoded.get(object)
  if (known !== undefined) return known
  const bytes = encoder.encode(JSON.stringify(object))
  if (Object.isFrozen(object) && Object.isFrozen(object.metadata)) encoded.set(object, bytes)
  return bytes
}
