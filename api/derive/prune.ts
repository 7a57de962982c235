import { formatQuantity, isQuantity } from '../meta/quantity.ts'
import { type FieldError, forbiddenField } from '../meta/status.ts'
import { isPlainObject, type SchemaNode } from './schema-node.ts'

/** What pruning found on its way. */
export interface Findings {
  /** Paths that the schema does not know. */
  readonly unknown: string[]
  /** Paths of fields that are kept without effect. */
  readonly ignored: string[]
  readonly refused: FieldError[]
  tooDeep: string | undefined
}

const depthLimit = 100

/** `spec.containers[0].image`; keys that are no names stand in brackets. */
export function fieldPath(parent: string, step: string | number): string {
  if (typeof step === 'number') return `${parent}[${step}]`
  if (!/^[\w$-]+$/.test(step)) return `${parent}[${step}]`
  return parent === '' ? step : `${parent}.${step}`
}

/** Where in an object something is. Most are never put into words. */
interface Path {
  readonly parent: Path | undefined
  readonly step: string | number
}

const textOf = (path: Path | undefined): string => (path === undefined ? '' : fieldPath(textOf(path.parent), path.step))

/**
 * Reads a value as Go's decoder would: takes out what the schema does not know, nulls (which stand for "not given"), and
 * zero values where Go cannot tell them from absent ones and it matters (empty texts, lists and maps, and zeros that
 * stand before a default); writes quantities in their one way. Shares whatever it does not change.
 */
export function prune(schema: SchemaNode, value: unknown, path: Path | undefined, findings: Findings, depth = 0): unknown {
  if (depth > depthLimit) {
    findings.tooDeep ??= textOf(path)
    return undefined
  }
  if (Array.isArray(value)) return pruneList(schema, value, path, findings, depth)
  if (isPlainObject(value)) return pruneObject(schema, value, path, findings, depth)
  if (schema['x-kubernetes-quantity'] === true && (typeof value === 'string' || typeof value === 'number') && isQuantity(value))
    return formatQuantity(value)
  return value
}

function pruneList(
  schema: SchemaNode,
  list: readonly unknown[],
  path: Path | undefined,
  findings: Findings,
  depth: number,
): unknown {
  const { items } = schema
  if (items === undefined) return list
  let pruned: unknown[] | undefined
  for (let index = 0; index < list.length; index++) {
    const item = list[index]
    const result = prune(items, item, { parent: path, step: index }, findings, depth + 1)
    // Nearly always nothing changes: only then is nothing copied.
    if (pruned === undefined && result !== item) pruned = list.slice(0, index)
    pruned?.push(result)
  }
  return pruned ?? list
}

function pruneObject(
  schema: SchemaNode,
  object: Readonly<Record<string, unknown>>,
  path: Path | undefined,
  findings: Findings,
  depth: number,
): unknown {
  const keys = Object.keys(object)
  let kept: Record<string, unknown> | undefined
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] ?? ''
    const value = object[key]
    const field = fieldOf(schema, key)
    const given = value === null && valuesAreTexts(schema) ? '' : value
    const result = isAbsent(schema, key, { field, given })
      ? undefined
      : pruneField(field, given, { parent: path, step: key }, findings, depth)
    if (kept === undefined && result !== value) kept = copyOf(object, keys.slice(0, index))
    if (kept !== undefined && result !== undefined) kept[key] = result
  }
  return kept ?? object
}

function copyOf(object: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  const copy: Record<string, unknown> = {}
  for (const key of keys) if (object[key] !== undefined) copy[key] = object[key]
  return copy
}

/** Of a null in such a map Go makes a key without text. */
const valuesAreTexts = ({ additionalProperties }: SchemaNode): boolean =>
  typeof additionalProperties === 'object' && additionalProperties.type === 'string'

const anything: SchemaNode = {}

/** `anything` where the schema says nothing about what is inside. */
function fieldOf(schema: SchemaNode, key: string): SchemaNode | undefined {
  // The one key whose assignment makes no field, but changes the prototype.
  if (key === '__proto__') return undefined
  const { properties, additionalProperties } = schema
  if (properties !== undefined && Object.hasOwn(properties, key)) return properties[key]
  if (typeof additionalProperties === 'object') return additionalProperties
  return properties === undefined && additionalProperties !== false ? anything : undefined
}

/** Known, and not given. */
function isAbsent(
  schema: SchemaNode,
  key: string,
  { field, given }: { readonly field: SchemaNode | undefined; readonly given: unknown },
): boolean {
  if (field === undefined) return false
  if (given === null || given === undefined) return true
  return countsAsAbsent(field, given) && schema.required?.includes(key) !== true
}

function pruneField(schema: SchemaNode | undefined, value: unknown, path: Path, findings: Findings, depth: number): unknown {
  if (schema === undefined) {
    findings.unknown.push(textOf(path))
    return undefined
  }
  const mark = schema['x-skiff']
  if (mark !== undefined && isSet(value)) {
    if (mark === 'refused') findings.refused.push(forbiddenField(textOf(path), 'is not supported by Skiff'))
    else findings.ignored.push(textOf(path))
  }
  return prune(schema, value, path, findings, depth + 1)
}

function countsAsAbsent(schema: SchemaNode, value: unknown): boolean {
  // The values of a map have no number: an empty text is a value there.
  if (schema['x-proto'] === undefined || schema['x-pointer'] === true || value === schema.default) return false
  if (value === '') return schema.type === 'string'
  if (isEmptyCollection(schema, value)) return true
  return (value === 0 || value === false) && schema.default !== undefined
}

/** Neither a list nor a map can be told from an absent one in what Kubernetes stores; a message can, as `emptyDir: {}`. */
function isEmptyCollection(schema: SchemaNode, value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0 && schema.items !== undefined
  return typeof schema.additionalProperties === 'object' && isPlainObject(value) && Object.keys(value).length === 0
}

/** A zero value asks for nothing. */
function isSet(value: unknown): boolean {
  if (value === false || value === '' || value === 0) return false
  if (Array.isArray(value)) return value.length > 0
  return !isPlainObject(value) || Object.keys(value).length > 0
}
