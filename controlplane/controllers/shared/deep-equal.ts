import { dequal } from 'dequal'

/** Equal as JSON: an absent field and one that is undefined are the same. */
export function isSameJson(left: unknown, right: unknown): boolean {
  return dequal(withoutUndefined(left), withoutUndefined(right))
}

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, one]) => (one === undefined ? [] : [[name, withoutUndefined(one)]])),
  )
}
