import type { KindDef } from '../kinds/define.ts'
import { type SchemaNode, schemaNode } from './schema-node.ts'

interface Field {
  readonly name: string
  readonly schema: SchemaNode
  readonly isRequired: boolean
}

/** A path that leads nowhere; the message says where it ends. */
export class NoSuchField extends Error {
  override readonly name = 'NoSuchField'
}

/**
 * What `explain` prints for a kind, or for one of its fields: its type, what it is for, and its fields, in kubectl's
 * layout. Throws NoSuchField.
 */
export function explain(kind: KindDef, path: readonly string[], { recursive }: { readonly recursive: boolean }): string {
  const root = schemaNode(kind.schema)
  let schema = root
  for (const [index, name] of path.entries()) {
    const field = fieldsOf(schema).find((one) => one.name === name)
    if (field === undefined)
      throw new NoSuchField(`field "${name}" does not exist in ${[kind.plural, ...path.slice(0, index)].join('.')}`)
    schema = field.schema
  }
  const head = [
    ...(kind.group === '' ? [] : [`GROUP:      ${kind.group}`]),
    `KIND:       ${kind.kind}`,
    `VERSION:    ${kind.version}`,
    '',
  ]
  const title = path.length === 0 ? [] : [`FIELD: ${path.at(-1)} <${typeOf(schema)}>`, '']
  const about = ['DESCRIPTION:', ...indent(1, [descriptionOf(schema)]), ...allowed(schema), '']
  const fields = fieldsOf(schema)
  const list = fields.length === 0 ? [] : ['FIELDS:', ...(recursive ? tree(fields, 1) : fields.flatMap(described))]
  return `${[...head, ...title, ...about, ...list].join('\n')}\n`
}

/** The fields of an object, or of the items of a list or map. */
function fieldsOf(schema: SchemaNode): readonly Field[] {
  if (schema.items !== undefined) return fieldsOf(schema.items)
  if (typeof schema.additionalProperties === 'object') return fieldsOf(schema.additionalProperties)
  const required = new Set(schema.required ?? [])
  return Object.entries(schema.properties ?? {})
    .map(([name, field]) => ({ name, schema: field, isRequired: required.has(name) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function typeOf(schema: SchemaNode): string {
  if (schema['x-kubernetes-int-or-string'] === true) return 'IntOrString'
  if (schema['x-kubernetes-quantity'] === true) return 'Quantity'
  if (schema.items !== undefined) return `[]${typeOf(schema.items)}`
  if (typeof schema.additionalProperties === 'object') return `map[string]${typeOf(schema.additionalProperties)}`
  const name = schema['x-name']
  if (name !== undefined) return name.slice(name.lastIndexOf('.') + 1)
  const [type = 'Object'] = [schema.type ?? 'Object'].flat()
  return type === 'object' ? 'Object' : type
}

const descriptionOf = (schema: SchemaNode): string => schema.description ?? '<no description>'

function allowed(schema: SchemaNode): readonly string[] {
  const values = (schema.enum ?? schema.items?.enum ?? []).map(String).filter((value) => value !== '')
  return [
    ...(values.length === 0 ? [] : indent(1, [`Allowed values: ${values.join(', ')}`])),
    ...(schema.default === undefined ? [] : indent(1, [`Default: ${JSON.stringify(schema.default)}`])),
    ...(schema['x-skiff'] === undefined ? [] : indent(1, [`Skiff: ${schema['x-skiff']}`])),
  ]
}

function described({ name, schema, isRequired }: Field): readonly string[] {
  const line = `${name}\t<${typeOf(schema)}>${isRequired ? ' -required-' : ''}`
  return [...indent(1, [line]), ...indent(2, [descriptionOf(schema)]), ...allowed(schema).map((text) => `  ${text}`), '']
}

const depthLimit = 20

function tree(fields: readonly Field[], depth: number): readonly string[] {
  if (depth > depthLimit) return []
  return fields.flatMap((field) => [
    ...indent(depth, [`${field.name}\t<${typeOf(field.schema)}>${field.isRequired ? ' -required-' : ''}`]),
    ...tree(fieldsOf(field.schema), depth + 1),
  ])
}

const indent = (depth: number, lines: readonly string[]): readonly string[] => lines.map((line) => `${'  '.repeat(depth)}${line}`)
