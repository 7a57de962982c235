import type { ApiObject } from '../meta/object-meta.ts'
import type { Column } from './define.ts'

export const nameColumn: Column<ApiObject> = { name: 'Name', cell: (object) => object.metadata.name }
/** Age as kubectl prints it. */
export const ageColumn: Column<ApiObject> = { name: 'Age', cell: (object, nowMs) => age(object.metadata.creationTimestamp, nowMs) }

/** `5s`, `3m20s`, `4h5m`, `3d2h`, `20d`, `2y10d`: how long ago `since` (RFC 3339) was. */
export function age(since: string | null | undefined, nowMs: number): string {
  if (since === undefined || since === null) return '<unknown>'
  const thenMs = Date.parse(since)
  return Number.isNaN(thenMs) ? '<invalid>' : humanDuration(nowMs - thenMs)
}

/** Kubernetes: duration.HumanDuration. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`
  if (hours < 48) return `${hours}h`
  const days = Math.floor(hours / 24)
  if (hours < 192) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`
  if (days < 730) return `${days}d`
  const years = Math.floor(days / 365)
  if (years < 8) return days % 365 === 0 ? `${years}y` : `${years}y${days % 365}d`
  return `${years}y`
}
