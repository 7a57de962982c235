import { dequal } from 'dequal'
import { type SchemaNode, schemaNode } from '../derive/schema-node.ts'
import type { TSchema } from '../kinds/schema.ts'
import { badRequest } from '../meta/status.ts'
import { depthLimit, isObject, isUnsafeKey, type Json, type JsonObject } from './json.ts'
import { fieldSchema, listStrategy } from './list-strategy.ts'

export const directive = '$patch'
export const retainKeys = '$retainKeys'
export const setElementOrder = '$setElementOrder/'
export const deleteFromPrimitiveList = '$deleteFromPrimitiveList/'

/**
 * Kubernetes' strategic merge patch: like RFC 7396, but lists merge as the kind's schema says, and directives
 * (`$patch`, `$retainKeys`, `$setElementOrder/…`, `$deleteFromPrimitiveList/…`) say the rest. Throws BadRequest that
 * names the field. Fields without a schema merge as in RFC 7396.
 */
export function applyStrategicMerge(schema: TSchema, target: JsonObject, patch: Json): JsonObject {
  if (!isObject(patch)) throw badRequest('a strategic merge patch is an object')
  return mergeObject(schemaNode(schema), target, patch, [])
}

type Path = readonly string[]
const at = (path: Path): string => path.join('.')

function mergeObject(schema: SchemaNode | undefined, target: JsonObject, patch: JsonObject, path: Path): JsonObject {
  if (path.length > depthLimit) throw badRequest(`the patch is nested deeper than ${depthLimit} levels`)
  const command = patch[directive]
  if (command === 'replace') return withoutDirectives(patch)
  if (command === 'delete') return {}
  checkCommand(command, path)
  const result: Record<string, Json> = retained(target, patch[retainKeys], path)
  for (const [key, value] of Object.entries(patch)) {
    if (isUnsafeKey(key)) throw badRequest(`${at(path)}: the patch has the key "${key}", which no field is called`)
    if (key.startsWith('$')) applyDirective(result, key, value, path)
    else if (value === null) delete result[key]
    else {
      const how = { schema: fieldSchema(schema, key), order: patch[`${setElementOrder}${key}`] }
      result[key] = mergeField(how, Object.hasOwn(result, key) ? result[key] : undefined, value, [...path, key])
    }
  }
  reorderUntouched(schema, result, patch, path)
  return result
}

function checkCommand(command: Json | undefined, path: Path): void {
  if (command !== undefined && command !== 'merge')
    throw badRequest(`${at(path)}: unknown ${directive} ${JSON.stringify(command)}`)
}

/** The other directives belong to the object or to a field, and are looked at there. */
function applyDirective(result: Record<string, Json>, key: string, value: Json, path: Path): void {
  if (key.startsWith(deleteFromPrimitiveList)) deletePrimitives(result, key.slice(deleteFromPrimitiveList.length), value, path)
  else if (key !== directive && key !== retainKeys && !key.startsWith(setElementOrder))
    throw badRequest(`${at([...path, key])}: unknown directive`)
}

function mergeField(
  how: { schema: SchemaNode | undefined; order: Json | undefined },
  target: Json | undefined,
  value: Json,
  path: Path,
): Json {
  if (Array.isArray(value))
    return mergeList(how, Array.isArray(target) ? (target as readonly Json[]) : [], value as readonly Json[], path)
  if (!isObject(value)) return value
  return mergeObject(how.schema, isObject(target) ? target : {}, value, path)
}

/** `$retainKeys`: every field that is not named goes. */
function retained(target: JsonObject, keys: Json | undefined, path: Path): Record<string, Json> {
  if (keys === undefined) return { ...target }
  if (!Array.isArray(keys)) throw badRequest(`${at(path)}: ${retainKeys} is no list`)
  return Object.fromEntries(Object.entries(target).filter(([key]) => keys.includes(key)))
}

function deletePrimitives(result: Record<string, Json>, field: string, values: Json, path: Path): void {
  if (!Array.isArray(values)) throw badRequest(`${at([...path, field])}: ${deleteFromPrimitiveList} is no list`)
  const list = result[field]
  if (Array.isArray(list)) result[field] = (list as readonly Json[]).filter((item) => !values.includes(item))
}

/** `$setElementOrder` may come without items. */
function reorderUntouched(schema: SchemaNode | undefined, result: Record<string, Json>, patch: JsonObject, path: Path): void {
  for (const [key, order] of Object.entries(patch)) {
    const field = key.startsWith(setElementOrder) ? key.slice(setElementOrder.length) : undefined
    const list = field === undefined ? undefined : result[field]
    if (field === undefined || Object.hasOwn(patch, field) || !Array.isArray(list)) continue
    const strategy = listStrategy(fieldSchema(schema, field))
    if (strategy !== 'replace')
      result[field] = ordered(list as readonly Json[], list as readonly Json[], { order, strategy, path: [...path, field] })
  }
}

function mergeList(
  { schema, order }: { schema: SchemaNode | undefined; order: Json | undefined },
  target: readonly Json[],
  patch: readonly Json[],
  path: Path,
): Json {
  const strategy = listStrategy(schema)
  if (strategy !== 'replace') checkLength(patch, path)
  if (strategy === 'replace') return patch.map((item) => (isObject(item) ? withoutDirectives(item) : item))
  if (strategy === 'set') {
    const merged = [...target, ...patch.filter((value) => !target.includes(value))]
    return ordered(merged, target, { order, strategy, path })
  }
  if (patch.some((item) => isObject(item) && item[directive] === 'replace'))
    return patch
      .filter((item) => !isObject(item) || item[directive] !== 'replace' || Object.keys(item).length > 1)
      .map((item) => (isObject(item) ? withoutDirectives(item) : item))
  const merged = patch.reduce<readonly Json[]>(
    (list, item) => mergeItem({ schema: schema?.items, by: strategy.by }, list, item, path),
    target,
  )
  return ordered(merged, target, { order, strategy, path })
}

/** Each item is looked for in the list: time grows with the product of both lengths. */
const itemLimit = 2000

function checkLength(list: readonly Json[], path: Path): void {
  if (list.length > itemLimit)
    throw badRequest(`${at(path)}: at most ${itemLimit} items of a list can be merged, not ${list.length}`)
}

function mergeItem(
  { schema, by }: { schema: SchemaNode | undefined; by: string },
  list: readonly Json[],
  item: Json,
  path: Path,
): readonly Json[] {
  if (!isObject(item)) throw badRequest(`${at(path)}: the items of this list are objects`)
  const key = item[by]
  if (key === undefined) throw badRequest(`${at(path)}: an item of the patch has no "${by}", by which this list merges`)
  if (item[directive] === 'delete') return list.filter((one) => !isObject(one) || !dequal(one[by], key))
  const index = list.findIndex((one) => isObject(one) && dequal(one[by], key))
  const found = index < 0 ? undefined : list[index]
  const merged = mergeObject(schema, isObject(found) ? found : {}, item, [...path, String(key)])
  return index < 0 ? [...list, merged] : list.with(index, merged)
}

interface Ordering {
  readonly order: Json | undefined
  readonly strategy: { readonly by: string } | 'set'
  readonly path: Path
}

/** Items that the order names stand in that order; others keep their place beside what they stood next to. */
function ordered(list: readonly Json[], before: readonly Json[], { order, strategy, path }: Ordering): readonly Json[] {
  if (order === undefined) return list
  if (!Array.isArray(order)) throw badRequest(`${at(path)}: ${setElementOrder} is no list`)
  checkLength(order as readonly Json[], path)
  const idOf = (item: Json): Json | undefined => (strategy === 'set' ? item : isObject(item) ? item[strategy.by] : undefined)
  const wanted = (order as readonly Json[]).map(idOf)
  const placeOf = (items: readonly (Json | undefined)[], item: Json): number => items.findIndex((id) => dequal(id, idOf(item)))
  const named = list.filter((item) => placeOf(wanted, item) >= 0).sort((a, b) => placeOf(wanted, a) - placeOf(wanted, b))
  const others = list.filter((item) => placeOf(wanted, item) < 0)
  const old = before.map(idOf)
  const result: Json[] = []
  for (const item of named) {
    const place = placeOf(old, item)
    while (others[0] !== undefined && place >= 0 && placeOf(old, others[0]) >= 0 && placeOf(old, others[0]) < place)
      result.push(others.shift() as Json)
    result.push(item)
  }
  return [...result, ...others]
}

/** A value that is taken as it is still carries no directive into the object. */
function withoutDirectives(value: JsonObject): JsonObject {
  const clean = (item: Json): Json =>
    isObject(item) ? withoutDirectives(item) : Array.isArray(item) ? (item as readonly Json[]).map(clean) : item
  const entries = Object.entries(value).filter(([key, item]) => !key.startsWith('$') && item !== null && !isUnsafeKey(key))
  return Object.fromEntries(entries.map(([key, item]) => [key, clean(item)]))
}
