import { dequal } from 'dequal'
import { type SchemaNode, schemaNode } from '../derive/schema-node.ts'
import type { TSchema } from '../kinds/schema.ts'
import { compareQuantity, isQuantity } from '../meta/quantity.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import { fieldSchema, listStrategy, retainsKeys } from './list-strategy.ts'
import { deleteFromPrimitiveList, directive, retainKeys, setElementOrder } from './strategic-merge.ts'

/**
 * The strategic merge patch of a client-side apply (Kubernetes: kubectl apply): it makes `current` what `modified` says,
 * and takes away what `original` (applied last) had and `modified` has no more. What others set stays. Empty: nothing to do.
 */
export function createThreeWayPatch(original: unknown, modified: unknown, current: unknown, schema: TSchema): JsonObject {
  const node = schemaNode(schema)
  const states = { original: asObject(original), modified: asObject(modified), current: asObject(current) }
  return diffObject(node, states)
}

interface States<T> {
  readonly original: T
  readonly modified: T
  readonly current: T
}

const asObject = (value: unknown): JsonObject => (isObject(value) ? value : {})
const asList = (value: unknown): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : [])
const isEmpty = (patch: JsonObject): boolean => Object.keys(patch).length === 0

function diffObject(schema: SchemaNode | undefined, { original, modified, current }: States<JsonObject>): JsonObject {
  const patch: Record<string, Json> = {}
  for (const [key, value] of Object.entries(modified)) {
    if (value === null) {
      if (Object.hasOwn(current, key)) patch[key] = null
    } else
      Object.assign(
        patch,
        diffField(fieldSchema(schema, key), key, {
          original: original[key] ?? null,
          modified: value,
          current: current[key] ?? null,
        }),
      )
  }
  for (const key of Object.keys(original)) if (!Object.hasOwn(modified, key) && Object.hasOwn(current, key)) patch[key] = null
  if (retainsKeys(schema) && !isEmpty(patch)) patch[retainKeys] = Object.keys(modified).sort()
  return patch
}

function diffField(schema: SchemaNode | undefined, key: string, states: States<Json>): JsonObject {
  const { modified, current } = states
  if (Array.isArray(modified))
    return diffList(schema, key, { original: asList(states.original), modified: modified as readonly Json[], current })
  if (isObject(modified) && isObject(current)) {
    const patch = diffObject(schema, { original: asObject(states.original), modified, current })
    return isEmpty(patch) ? {} : { [key]: patch }
  }
  return dequal(modified, current) || isSameAmount(schema, modified, current) ? {} : { [key]: modified }
}

const isAmount = (value: Json): value is string | number =>
  (typeof value === 'string' || typeof value === 'number') && isQuantity(value)

/** The server writes `1024Mi` as `1Gi`. */
function isSameAmount(schema: SchemaNode | undefined, a: Json, b: Json): boolean {
  return schema?.['x-kubernetes-quantity'] === true && isAmount(a) && isAmount(b) && compareQuantity(a, b) === 0
}

interface ListStates {
  readonly original: readonly Json[]
  readonly modified: readonly Json[]
  readonly current: Json
}

function diffList(schema: SchemaNode | undefined, key: string, { original, modified, current }: ListStates): JsonObject {
  const strategy = listStrategy(schema)
  if (strategy === 'replace' || !Array.isArray(current)) return dequal(modified, current) ? {} : { [key]: modified }
  const states = { original, modified, current: current as readonly Json[] }
  return strategy === 'set' ? diffSet(key, states) : diffItems(schema?.items, { key, by: strategy.by }, states)
}

function diffSet(key: string, { original, modified, current }: States<readonly Json[]>): JsonObject {
  const added = modified.filter((value) => !current.includes(value))
  const removed = original.filter((value) => !modified.includes(value) && current.includes(value))
  if (added.length === 0 && removed.length === 0) return {}
  return {
    ...(removed.length === 0 ? {} : { [`${deleteFromPrimitiveList}${key}`]: removed }),
    [`${setElementOrder}${key}`]: modified,
    ...(added.length === 0 ? {} : { [key]: added }),
  }
}

function diffItems(
  schema: SchemaNode | undefined,
  { key, by }: { key: string; by: string },
  { original, modified, current }: States<readonly Json[]>,
): JsonObject {
  const find = (list: readonly Json[], id: Json | undefined): JsonObject | undefined =>
    list.find((item): item is JsonObject => isObject(item) && dequal(item[by], id))
  const changed = modified.flatMap((item): readonly Json[] => {
    if (!isObject(item)) return []
    const id = item[by]
    const there = find(current, id)
    if (there === undefined) return [item]
    const patch = diffObject(schema, { original: find(original, id) ?? {}, modified: item, current: there })
    return isEmpty(patch) ? [] : [{ ...patch, [by]: id ?? null }]
  })
  const removed = original.flatMap((item): readonly Json[] => {
    if (!isObject(item) || find(modified, item[by]) !== undefined || find(current, item[by]) === undefined) return []
    return [{ [directive]: 'delete', [by]: item[by] ?? null }]
  })
  const ids = (list: readonly Json[]): readonly (Json | undefined)[] =>
    list.map((item) => (isObject(item) ? item[by] : undefined))
  const wanted = ids(modified)
  const isInOrder = dequal(
    ids(current).filter((id) => wanted.some((one) => dequal(one, id))),
    wanted,
  )
  if (changed.length === 0 && removed.length === 0 && isInOrder) return {}
  const items = [...changed, ...removed]
  return {
    [`${setElementOrder}${key}`]: wanted.map((id) => ({ [by]: id ?? null })),
    ...(items.length === 0 ? {} : { [key]: items }),
  }
}
