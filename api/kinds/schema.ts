import { type Static, type TOptional, type TSchema, Type } from 'typebox'

/**
 * Builders for the schemas of kinds. A schema is a JSON-Schema value (ajv compiles it, OpenAPI prints it), its
 * TypeScript type is inferred, and it carries what patching, defaulting, explain and the protobuf decoder need:
 *
 * - `x-proto`          field number in Kubernetes' protobuf encoding
 * - `x-list-type`      `map` | `set` | `atomic`, with `x-list-map-keys`
 * - `x-patch-merge-key`, `x-patch-strategy`  strategic merge patch
 * - `x-proto-type`     how a value travels when it is not what its JSON form suggests
 * - `x-pointer`        protobuf: zero is kept, because the field is a pointer in Go
 * - `x-proto-in`       protobuf: the field stands inside an embedded message with this number, which JSON does not show
 *                      (Go's inlined structs: a probe's handler, a volume's source, the name of a key selector)
 * - `x-skiff`          `ignored`: accepted and kept, answered with a warning. `refused`: 422, because dropping it would
 *                      change what the user relies on. Both are listed in docs/compatibility.md
 */
export interface FieldOptions {
  /** Field number in Kubernetes' protobuf encoding. Left out for what never comes as protobuf. */
  readonly tag?: number
  readonly default?: unknown
  readonly pointer?: boolean
  /** Number of the embedded message that the field travels in. */
  readonly within?: number
  readonly skiff?: 'ignored' | 'refused'
  readonly patchStrategy?: string
  readonly patchMergeKey?: string
}

/** An optional field. `doc` is what `explain` prints. */
export function opt<S extends TSchema>(schema: S, doc: string, options: FieldOptions = {}): TOptional<S> {
  return Type.Optional(described(schema, doc, options)) as TOptional<S>
}

/** A required field. */
export function req<S extends TSchema>(schema: S, doc: string, options: FieldOptions = {}): S {
  return described(schema, doc, options)
}

function described<S extends TSchema>(schema: S, doc: string, options: FieldOptions): S {
  const keywords = {
    'x-proto': options.tag,
    'x-proto-in': options.within,
    default: options.default,
    'x-pointer': options.pointer === true ? true : undefined,
    'x-skiff': options.skiff,
    'x-patch-strategy': options.patchStrategy,
    'x-patch-merge-key': options.patchMergeKey,
  }
  const given = Object.entries(keywords).filter(([, value]) => value !== undefined)
  return { ...schema, description: doc, ...Object.fromEntries(given) }
}

export const str = (options: Record<string, unknown> = {}) => Type.String(options)
export const bool = () => Type.Boolean()
export const int32 = (options: Record<string, unknown> = {}) =>
  Type.Integer({ format: 'int32', minimum: -(2 ** 31), maximum: 2 ** 31 - 1, ...options })
/** Within what a JavaScript number holds exactly. */
export const int64 = (options: Record<string, unknown> = {}) =>
  Type.Integer({ format: 'int64', minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER, ...options })
/** RFC 3339; protobuf metav1.Time. */
export const time = () => Type.String({ format: 'date-time', 'x-proto-type': 'Time' })
export const microTime = () => Type.String({ format: 'date-time', 'x-proto-type': 'MicroTime' })
/** resource.Quantity: a string, or a plain number that is read as one. */
export const quantity = () =>
  Type.Unsafe<string | number>({ type: ['string', 'number'], 'x-proto-type': 'Quantity', 'x-kubernetes-quantity': true })
export const intOrString = () =>
  Type.Unsafe<number | string>({ type: ['integer', 'string'], 'x-proto-type': 'IntOrString', 'x-kubernetes-int-or-string': true })
/** Any object: for fields that are only known by name, because they are refused or kept unread. */
export const anyObject = () => Type.Unsafe<Record<string, unknown>>({ type: 'object' })
/** Any list of objects, see `anyObject`. */
export const anyList = () => Type.Unsafe<Record<string, unknown>[]>({ type: 'array', items: { type: 'object' } })
/** Base64 in JSON. */
export const bytes = () => Type.String({ format: 'byte', 'x-proto-type': 'bytes' })
export const stringMap = () => Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: { type: 'string' } })
export const mapOf = <S extends TSchema>(value: S) =>
  Type.Unsafe<Record<string, Static<S>>>({ type: 'object', additionalProperties: value })
/** One of a closed set of strings. */
export const oneOf = <const V extends readonly string[]>(...values: V) =>
  Type.Unsafe<V[number]>({ type: 'string', enum: [...values] })

/** A list that is replaced as a whole. */
export const atomicList = <S extends TSchema>(item: S) => Type.Array(item, { 'x-list-type': 'atomic' })
/** A list whose items merge by `keys`; the first is the strategic merge key. */
export const mapList = <S extends TSchema>(item: S, ...keys: [string, ...string[]]) =>
  Type.Array(item, { 'x-list-type': 'map', 'x-list-map-keys': keys, 'x-patch-merge-key': keys[0], 'x-patch-strategy': 'merge' })
/** A list of primitives that merges as a set. */
export const setList = <S extends TSchema>(item: S) => Type.Array(item, { 'x-list-type': 'set', 'x-patch-strategy': 'merge' })

/**
 * A message with named fields; as a field it is described by what the field is for (`x-doc` keeps what it is itself); unknown fields are refused under strict field validation and dropped with a warning
 * otherwise. `name` is the definition's name in OpenAPI (as in `io.k8s.api.core.v1.Container`).
 */
export const message = <P extends Record<string, TSchema>>(
  name: string,
  doc: string,
  properties: P,
  options: Record<string, unknown> = {},
) => Type.Object(properties, { description: doc, 'x-doc': doc, 'x-name': name, additionalProperties: false, ...options })

export type { Static, TSchema }
export { Type }
