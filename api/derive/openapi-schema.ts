import type { KindDef } from '../kinds/define.ts'
import { type JsonRecord, type SchemaNode, schemaNode } from './schema-node.ts'

/** `components.schemas` of an OpenAPI 3 document: each named schema once, referred to by name. */
export type Components = Readonly<Record<string, JsonRecord>>

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'
export const listMetaName = `${meta}.ListMeta`
export const statusName = `${meta}.Status`
export const deleteOptionsName = `${meta}.DeleteOptions`
export const patchName = `${meta}.Patch`

export const refTo = (name: string): JsonRecord => ({ $ref: `#/components/schemas/${name}` })

/** Values whose form has a name of its own. */
const special: Readonly<Record<string, string>> = {
  Quantity: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
  IntOrString: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
  Time: `${meta}.Time`,
  MicroTime: `${meta}.MicroTime`,
}

const common: Components = {
  [special['Quantity'] ?? '']: {
    description: 'An amount, as in 500m, 1.5 or 64Mi.',
    oneOf: [{ type: 'string' }, { type: 'number' }],
  },
  [special['IntOrString'] ?? '']: {
    description: 'A number, or a text such as a name or a percentage.',
    format: 'int-or-string',
    oneOf: [{ type: 'integer' }, { type: 'string' }],
  },
  [special['Time'] ?? '']: { description: 'A time, as in RFC 3339.', type: 'string', format: 'date-time' },
  [special['MicroTime'] ?? '']: { description: 'A time with microseconds, as in RFC 3339.', type: 'string', format: 'date-time' },
  [listMetaName]: {
    description: 'Bookkeeping of a list.',
    type: 'object',
    properties: {
      continue: { type: 'string', description: 'Where the next page begins; send it back to get it.' },
      remainingItemCount: { type: 'integer', format: 'int64', description: 'How many objects come after this page.' },
      resourceVersion: { type: 'string', description: 'The revision that the list shows.' },
    },
  },
  [statusName]: {
    description: 'The outcome of a request without an object to answer with.',
    type: 'object',
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      status: { type: 'string', description: 'Success or Failure.' },
      message: { type: 'string', description: 'What happened, for people.' },
      reason: { type: 'string', description: 'What happened, as one CamelCase word.' },
      code: { type: 'integer', format: 'int32', description: 'The HTTP code.' },
      details: { type: 'object', description: 'Of which object and which fields the message speaks.' },
    },
  },
  [deleteOptionsName]: {
    description: 'How an object is to be deleted.',
    type: 'object',
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      gracePeriodSeconds: { type: 'integer', format: 'int64', description: 'Seconds given to the object to end.' },
      propagationPolicy: { type: 'string', description: 'What becomes of dependents: Foreground, Background or Orphan.' },
      preconditions: { type: 'object', description: 'The uid and resourceVersion that the object must have.' },
      dryRun: { type: 'array', items: { type: 'string' }, description: 'All: check everything, delete nothing.' },
    },
  },
  [patchName]: { description: 'A change, in one of the forms of a patch.', type: 'object' },
}

/** All schemas that the kinds and `more` consist of, by name, sorted. */
export function componentsOf(kinds: readonly KindDef[], more: readonly SchemaNode[] = []): Components {
  const named = new Map<string, SchemaNode>()
  const roots = [...kinds.map(({ schema }) => schemaNode(schema)), ...more]
  for (const root of roots) collect(root, named)
  const schemas = [...named].map(([name, schema]): [string, JsonRecord] => [name, definition(schema)])
  const lists = kinds.map((kind): [string, JsonRecord] => [`${nameOf(schemaNode(kind.schema))}List`, listDefinition(kind)])
  return Object.fromEntries([...Object.entries(common), ...schemas, ...lists].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const nameOf = (schema: SchemaNode): string => schema['x-name'] ?? ''
export const schemaName = (kind: KindDef): string => nameOf(schemaNode(kind.schema))

function collect(schema: SchemaNode, named: Map<string, SchemaNode>): void {
  const name = nameOf(schema)
  if (name !== '' && named.has(name)) return
  if (name !== '') named.set(name, schema)
  for (const field of Object.values(schema.properties ?? {})) collect(field, named)
  if (schema.items !== undefined) collect(schema.items, named)
  if (typeof schema.additionalProperties === 'object') collect(schema.additionalProperties, named)
}

/** A named schema in full; what it consists of is referred to. */
function definition(schema: SchemaNode): JsonRecord {
  const gvk = schema['x-kubernetes-group-version-kind']
  return {
    description: schema['x-doc'] ?? schema.description ?? '',
    type: 'object',
    properties: Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, field]) => [name, fieldOf(field)])),
    ...(schema.required === undefined ? {} : { required: schema.required }),
    ...(gvk === undefined ? {} : { 'x-kubernetes-group-version-kind': gvk }),
  }
}

const supportNotes = { ignored: ' Accepted, but has no effect in Skiff.', refused: ' Not supported by Skiff.' } as const

function fieldOf(schema: SchemaNode): JsonRecord {
  const { description = '', default: value, 'x-skiff': skiff } = schema
  const about = `${description}${skiff === undefined ? '' : supportNotes[skiff]}`
  const type = typeOf(schema)
  return {
    ...(about === '' ? {} : { description: about }),
    // A reference may have no neighbours in OpenAPI 3.0.
    ...('$ref' in type ? { allOf: [type] } : type),
    ...(value === undefined ? {} : { default: value }),
    ...kubernetesKeywords(schema),
  }
}

function typeOf(schema: SchemaNode): JsonRecord {
  const known = special[schema['x-proto-type'] ?? '']
  if (known !== undefined) return refTo(known)
  if (nameOf(schema) !== '') return refTo(nameOf(schema))
  if (schema.items !== undefined) return { type: 'array', items: elementOf(schema.items) }
  if (typeof schema.additionalProperties === 'object')
    return { type: 'object', additionalProperties: elementOf(schema.additionalProperties) }
  const type = [schema.type ?? 'object'].flat().find((one) => one !== 'null')
  return {
    type,
    ...(schema.format === undefined ? {} : { format: schema.format }),
    ...(schema.enum === undefined ? {} : { enum: schema.enum }),
  }
}

/** What stands in a list or a map. */
function elementOf(schema: SchemaNode): JsonRecord {
  const type = typeOf(schema)
  return '$ref' in type || schema.description === undefined ? type : { description: schema.description, ...type }
}

function kubernetesKeywords(schema: SchemaNode): JsonRecord {
  const keywords = ['list-type', 'list-map-keys', 'patch-merge-key', 'patch-strategy'] as const
  const given = keywords.map((keyword) => [`x-kubernetes-${keyword}`, schema[`x-${keyword}`]] as const)
  return Object.fromEntries(given.filter(([, value]) => value !== undefined))
}

function listDefinition(kind: KindDef): JsonRecord {
  return {
    description: `Objects of kind ${kind.kind}.`,
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { type: 'string', description: 'Group and version of this object’s schema.' },
      kind: { type: 'string', description: 'The kind of this object.' },
      metadata: { description: 'Bookkeeping of the list.', allOf: [refTo(listMetaName)] },
      items: { type: 'array', description: 'The objects.', items: refTo(schemaName(kind)) },
    },
    'x-kubernetes-group-version-kind': [{ group: kind.group, version: kind.version, kind: kind.listKind }],
  }
}
