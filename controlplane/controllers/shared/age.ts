import type { ApiObject } from '../../../api/meta/object-meta.ts'
import { parseTime } from '../../../lib/clock.ts'

/** Older first; by name when made in the same second. */
export function compareAge(left: ApiObject, right: ApiObject): number {
  const leftMs = parseTime(left.metadata.creationTimestamp) ?? 0
  const rightMs = parseTime(right.metadata.creationTimestamp) ?? 0
  if (leftMs !== rightMs) return leftMs - rightMs
  return (left.metadata.name ?? '') < (right.metadata.name ?? '') ? -1 : 1
}
