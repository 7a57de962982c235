import type { AbortOptions } from '../../lib/async.ts'

/** Something beside the objects that an administrator may ask of this control plane: `GET` tells, `POST` does. */
export interface MaintenanceCall {
  get?(opts: AbortOptions): unknown
  /** `body` is what was sent; an empty one is undefined. */
  post?(body: unknown, opts: AbortOptions): unknown
}

/** By path, which begins with `/skiff/`. */
export type Maintenance = Readonly<Record<string, MaintenanceCall>>
