import { isPlainObject, type SchemaNode } from './schema-node.ts'

/** Fills the schema's defaults into every object that is there. Pure; shares whatever it does not change. */
export function applyDefaults<T>(schema: SchemaNode, value: T): T {
  return fill(schema, value) as T
}

function fill(schema: SchemaNode, value: unknown): unknown {
  if (Array.isArray(value)) return fillList(schema, value)
  if (!isPlainObject(value)) return value
  const { properties, additionalProperties } = schema
  if (properties === undefined) {
    return typeof additionalProperties === 'object' && additionalProperties.properties !== undefined
      ? fillMap(additionalProperties, value)
      : value
  }
  const changes: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(properties)) {
    const given = Object.hasOwn(value, key) ? value[key] : undefined
    const result = fill(field, given ?? field.default)
    if (result !== given) changes[key] = result
  }
  return Object.keys(changes).length === 0 ? value : { ...value, ...changes }
}

function fillList(schema: SchemaNode, list: readonly unknown[]): unknown {
  const { items } = schema
  if (items?.properties === undefined) return list
  const filled = list.map((item) => fill(items, item))
  return filled.every((item, index) => item === list[index]) ? list : filled
}

function fillMap(schema: SchemaNode, map: Readonly<Record<string, unknown>>): unknown {
  const entries = Object.entries(map).map(([key, item]) => [key, fill(schema, item)] as const)
  return entries.every(([key, item]) => item === map[key]) ? map : Object.fromEntries(entries)
}
