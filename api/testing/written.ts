import { decodeObject, withDefaults } from '../derive/validate.ts'
import type { KindDef } from '../kinds/define.ts'
import type { ApiObject } from '../meta/object-meta.ts'
import type { FieldError } from '../meta/status.ts'

/** The same kind, for functions that take any. */
const plain = <O extends ApiObject>(kind: KindDef<O>): KindDef => kind as unknown as KindDef

/** `input` as the schema reads it; throws what the schema says. */
export function parsed<O extends ApiObject>(kind: KindDef<O>, input: unknown): O {
  const { object, errors } = decodeObject(plain(kind), input, {})
  if (errors.length > 0) throw new Error(lines(errors).join(', '))
  // The schema has just said so.
  return object as O
}

/** With all defaults: what a server stores of an update. */
export function defaulted<O extends ApiObject>(kind: KindDef<O>, input: unknown): O {
  return withDefaults(plain(kind), parsed(kind, input)) as O
}

/** What a server stores of a create. */
export function created<O extends ApiObject>(kind: KindDef<O>, input: unknown): O {
  const object = defaulted(kind, input)
  return kind.strategy.prepareForCreate?.(object) ?? object
}

const lines = (errors: readonly FieldError[]): string[] =>
  errors.map(({ field, type }) => `${field} ${type.replace('FieldValue', '')}`)

/** `field Kind` of each wrong field, as in `spec.replicas Invalid`. */
export function wrongIn<O extends ApiObject>(kind: KindDef<O>, input: unknown): string[] {
  const { errors } = decodeObject(plain(kind), input, {})
  return lines(errors.length > 0 ? errors : (kind.strategy.validate?.(defaulted(kind, input)) ?? []))
}

export function wrongInUpdate<O extends ApiObject>(kind: KindDef<O>, now: O, old: O): string[] {
  const [defaultedNow, defaultedOld] = [defaulted(kind, now), defaulted(kind, old)]
  const prepared = kind.strategy.prepareForUpdate?.(defaultedNow, defaultedOld) ?? defaultedNow
  return lines([...(kind.strategy.validate?.(prepared) ?? []), ...(kind.strategy.validateUpdate?.(prepared, defaultedOld) ?? [])])
}

/** The cells of the narrow table, by column name; with `wide` all. */
export function cellsOf<O extends ApiObject>(kind: KindDef<O>, object: O, nowMs: number, { wide = false } = {}) {
  const columns = kind.columns.filter((column) => wide || column.wide !== true)
  return Object.fromEntries(columns.map((column) => [column.name, column.cell(object, nowMs)]))
}
