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
  let filled: Record<string, unknown> | undefined
  for (const [key, field] of fieldsWithDefaults(schema, properties)) {
    const given = Object.hasOwn(value, key) ? value[key] : undefined
    const result = fill(field, given ?? field.default)
    if (result === given) continue
    filled ??= { ...value }
    filled[key] = result
  }
  return filled ?? value
}

type Fields = readonly (readonly [string, SchemaNode])[]
/** A pod's specification has hundreds of fields, and few of them can bring a default: the others are not looked for. */
const known = new WeakMap<SchemaNode, Fields>()

function fieldsWithDefaults(schema: SchemaNode, properties: NonNullable<SchemaNode['properties']>): Fields {
  const fields = known.get(schema) ?? Object.entries(properties).filter(([, field]) => canFill(field))
  known.set(schema, fields)
  return fields
}

function canFill(schema: SchemaNode): boolean {
  const { properties, items, additionalProperties } = schema
  if (schema.default !== undefined) return true
  if (properties !== undefined) return fieldsWithDefaults(schema, properties).length > 0
  if (items?.properties !== undefined) return canFill(items)
  return (
    typeof additionalProperties === 'object' && additionalProperties.properties !== undefined && canFill(additionalProperties)
  )
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
