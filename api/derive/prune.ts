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

/**
 * Reads a value as Go's decoder would: takes out what the schema does not know, nulls (which stand for "not given"), and
 * zero values where Go cannot tell them from absent ones and it matters (empty texts, lists and maps, and zeros that
 * stand before a default); writes quantities in their one way. Shares whatever it does not change.
 */
export function prune(schema: SchemaNode, value: unknown, findings: Findings): unknown {
  return new Pruning(findings).any(schema, value)
}

class Pruning {
  readonly #findings: Findings
  /** Where it is. Most places are never put into words, and each object is read: no path is made before it is asked for. */
  readonly #steps: (string | number)[] = []

  constructor(findings: Findings) {
    this.#findings = findings
  }

  any(schema: SchemaNode, value: unknown): unknown {
    if (typeof value === 'object' && value !== null) {
      if (this.#steps.length > depthLimit) {
        this.#findings.tooDeep ??= this.#here()
        return undefined
      }
      return Array.isArray(value) ? this.#list(schema, value) : this.#object(schema, value as Readonly<Record<string, unknown>>)
    }
    if (schema['x-kubernetes-quantity'] === true && (typeof value === 'string' || typeof value === 'number') && isQuantity(value))
      return formatQuantity(value)
    return value
  }

  #list(schema: SchemaNode, list: readonly unknown[]): unknown {
    const { items } = schema
    if (items === undefined) return list
    let kept: unknown[] | undefined
    for (const [index, item] of list.entries()) {
      this.#steps.push(index)
      const result = this.any(items, item)
      this.#steps.pop()
      if (result !== item) kept ??= list.slice(0, index)
      kept?.push(result)
    }
    return kept ?? list
  }

  #object(schema: SchemaNode, object: Readonly<Record<string, unknown>>): unknown {
    let kept: Record<string, unknown> | undefined
    const keys = Object.keys(object)
    for (const [index, key] of keys.entries()) {
      const value = object[key]
      this.#steps.push(key)
      const given = value === null && valuesAreTexts(schema) ? '' : value
      const result = this.#field(fieldOf(schema, key), given, schema.required?.includes(key) === true)
      this.#steps.pop()
      if (result !== value) kept ??= firstOf(object, keys.slice(0, index))
      if (kept !== undefined && result !== undefined) kept[key] = result
    }
    return kept ?? object
  }

  #field(schema: SchemaNode | undefined, value: unknown, isRequired: boolean): unknown {
    if (schema === undefined) {
      this.#findings.unknown.push(this.#here())
      return undefined
    }
    if (value === null || value === undefined || (!isRequired && countsAsAbsent(schema, value))) return undefined
    const mark = schema['x-skiff']
    if (mark !== undefined && isSet(value)) {
      if (mark === 'refused') this.#findings.refused.push(forbiddenField(this.#here(), 'is not supported by Skiff'))
      else this.#findings.ignored.push(this.#here())
    }
    return this.any(schema, value)
  }

  #here(): string {
    return this.#steps.reduce<string>(fieldPath, '')
  }
}

function firstOf(object: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
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
