import { badRequest } from '../meta/status.ts'
import { depthLimit, isObject, isUnsafeKey, type Json } from './json.ts'

/** RFC 7396. Throws BadRequest when it is nested too deep or reaches for a prototype. */
export function applyMergePatch(target: Json | undefined, patch: Json, depth = 0): Json {
  if (!isObject(patch)) return patch
  if (depth > depthLimit) throw badRequest(`the patch is nested deeper than ${depthLimit} levels`)
  const result: Record<string, Json> = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (isUnsafeKey(key)) throw badRequest(`the patch has the key "${key}", which no field is called`)
    if (value === null) delete result[key]
    else result[key] = applyMergePatch(Object.hasOwn(result, key) ? result[key] : undefined, value, depth + 1)
  }
  return result
}
