import type { SchemaNode } from '../derive/schema-node.ts'

/** The schema of an object's field; undefined where none is known. */
export function fieldSchema(schema: SchemaNode | undefined, field: string): SchemaNode | undefined {
  if (schema === undefined) return undefined
  if (schema.properties !== undefined && Object.hasOwn(schema.properties, field)) return schema.properties[field]
  return typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined
}

/** How a list merges: item by item under a key, as a set of plain values, or not at all. */
export function listStrategy(schema: SchemaNode | undefined): { readonly by: string } | 'set' | 'replace' {
  if (schema?.['x-patch-strategy']?.split(',').includes('merge') !== true) return 'replace'
  const key = schema['x-patch-merge-key']
  return key === undefined ? 'set' : { by: key }
}

export function retainsKeys(schema: SchemaNode | undefined): boolean {
  return schema?.['x-patch-strategy']?.split(',').includes('retainKeys') === true
}
