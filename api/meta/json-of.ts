import type { ApiObject } from './object-meta.ts'

const encoder = new TextEncoder()
const encoded = new WeakMap<ApiObject, Uint8Array | (() => Uint8Array)>()

/**
 * The object's JSON in UTF-8, made at the first call and kept for as long as the object lives: hundreds of watchers
 * share one copy. Only frozen objects are remembered, since others could change meanwhile.
 */
export function jsonOf(object: ApiObject): Uint8Array {
  const known = encoded.get(object)
  if (known !== undefined && typeof known !== 'function') return known
  const bytes = known?.() ?? encoder.encode(JSON.stringify(object))
  if (Object.isFrozen(object) && Object.isFrozen(object.metadata)) encoded.set(object, bytes)
  return bytes
}

/** Where the JSON of a frozen object comes from when somebody asks: from what it was read from, say. */
export function rememberJson(object: ApiObject, make: () => Uint8Array): void {
  encoded.set(object, make)
}
