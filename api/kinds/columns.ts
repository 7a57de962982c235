import type { ApiObject } from '../meta/object-meta.ts'
import type { Column } from './define.ts'

export const nameColumn: Column<ApiObject> = { name: 'Name', cell: (object) => object.metadata.name }
/** Age as kubectl prints it. */
export const ageColumn: Column<ApiObject> = {
  name: 'Age',
  cell: (object, nowMs) => age(object.metadata.creationTimestamp, nowMs),
}

/** `5s`, `3m20s`, `4h5m`, `3d2h`, `20d`, `2y10d`: how long ago `since` (RFC 3339) was. */
export function age(since: string | null | undefined, nowMs: number): string {
  if (since === undefined || since === null) return '<unknown>'
  const thenMs = Date.parse(since)
  return Number.isNaN(thenMs) ? '<invalid>' : humanDuration(nowMs - thenMs)
}

interface Scale {
  readonly unit: string
  readonly seconds: number
  /** From this many seconds on the scale is used, up to the next one. */
  readonly from: number
  /** Below this many seconds the next smaller unit is shown too. */
  readonly fineBelow: number
}

const minute = 60
const hour = 60 * minute
const day = 24 * hour
const year = 365 * day
const scales: readonly Scale[] = [
  { unit: 'y', seconds: year, from: 2 * year, fineBelow: 8 * year },
  { unit: 'd', seconds: day, from: 2 * day, fineBelow: 8 * day },
  { unit: 'h', seconds: hour, from: 3 * hour, fineBelow: 8 * hour },
  { unit: 'm', seconds: minute, from: 2 * minute, fineBelow: 10 * minute },
]
const finer: Readonly<Record<string, { unit: string; seconds: number }>> = {
  y: { unit: 'd', seconds: day },
  d: { unit: 'h', seconds: hour },
  h: { unit: 'm', seconds: minute },
  m: { unit: 's', seconds: 1 },
}

/** Kubernetes: duration.HumanDuration. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < -1) return '<invalid>'
  const scale = scales.find(({ from }) => seconds >= from)
  if (scale === undefined) return `${Math.max(seconds, 0)}s`
  const whole = `${Math.floor(seconds / scale.seconds)}${scale.unit}`
  const sub = finer[scale.unit]
  if (sub === undefined || seconds >= scale.fineBelow) return whole
  const rest = Math.floor((seconds % scale.seconds) / sub.seconds)
  return rest === 0 ? whole : `${whole}${rest}${sub.unit}`
}
