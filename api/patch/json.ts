/** A JSON value. Patches work on plain ones and give new ones; what is unchanged is shared. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The one key whose assignment makes no field, but changes the prototype. All others are read as own fields only. */
export const isUnsafeKey = (key: string): boolean => key === '__proto__'

/** Objects nested deeper than this are no manifests. */
export const depthLimit = 100
