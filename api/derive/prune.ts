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
 * Takes out what the schema does not know, and nulls (which stand for "not given", as in Kubernetes), and writes
 * quantities in their one way. Shares whatever it does not change.
 */
export function prune(schema: SchemaNode, value: unknown, path: string, findings: Findings, depth = 0): unknown {
  if (depth > depthLimit) {
    findings.tooDeep ??= path
    return undefined
  }
  if (Array.isArray(value)) return pruneList(schema, value, path, findings, depth)
  if (isPlainObject(value)) return pruneObject(schema, value, path, findings, depth)
  if (schema['x-kubernetes-quantity'] === true && (typeof value === 'string' || typeof value === 'number') && isQuantity(value))
    return formatQuantity(value)
  return value
}

function pruneList(schema: SchemaNode, list: readonly unknown[], path: string, findings: Findings, depth: number): unknown {
  const { items } = schema
  if (items === undefined) return list
  const pruned = list.map((item, index) => prune(items, item, fieldPath(path, index), findings, depth + 1))
  return pruned.every((item, index) => item === list[index]) ? list : pruned
}

function pruneObject(
  schema: SchemaNode,
  object: Readonly<Record<string, unknown>>,
  path: string,
  findings: Findings,
  depth: number,
): unknown {
  const kept: Record<string, unknown> = {}
  let isSame = true
  for (const [key, value] of Object.entries(object)) {
    const here = fieldPath(path, key)
    const result = pruneField(fieldOf(schema, key), value, here, findings, depth)
    if (result !== value) isSame = false
    if (result !== undefined) kept[key] = result
  }
  return isSame ? object : kept
}

/** `any`: the schema says nothing about what is inside. */
function fieldOf(schema: SchemaNode, key: string): SchemaNode | 'any' | undefined {
  if (key === '__proto__' || key === 'constructor' || key === 'prototype') return undefined
  const { properties, additionalProperties } = schema
  if (properties !== undefined && Object.hasOwn(properties, key)) return properties[key]
  if (typeof additionalProperties === 'object') return additionalProperties
  return properties === undefined && additionalProperties !== false ? 'any' : undefined
}

function pruneField(
  schema: SchemaNode | 'any' | undefined,
  value: unknown,
  path: string,
  findings: Findings,
  depth: number,
): unknown {
  if (schema === undefined) {
    findings.unknown.push(path)
    return undefined
  }
  if (value === null || value === undefined) return undefined
  if (schema === 'any') return value
  const mark = schema['x-skiff']
  if (mark !== undefined && isSet(value)) {
    if (mark === 'refused') findings.refused.push(forbiddenField(path, 'is not supported by Skiff'))
    else findings.ignored.push(path)
  }
  return prune(schema, value, path, findings, depth + 1)
}

/** A zero value asks for nothing. */
function isSet(value: unknown): boolean {
  if (value === false || value === '' || value === 0) return false
  if (Array.isArray(value)) return value.length > 0
  return !isPlainObject(value) || Object.keys(value).length > 0
}
