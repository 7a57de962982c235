import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import type { ApiObject } from '../meta/object-meta.ts'
import { builders } from '../testing/builders.ts'
import { created, parsed, wrongIn } from '../testing/written.ts'
import { kindByResource, kindOf, kinds } from './registry.ts'

const manifests = join(import.meta.dirname, '../../manifests')
const examples = readdirSync(manifests)
  .filter((file) => file.endsWith('.yaml'))
  .flatMap((file) => parseAllDocuments(readFileSync(join(manifests, file), 'utf8')).map((doc) => [file, doc.toJS()] as const))
const byName = kinds.map((kind) => [kind.kind, kind] as const)

interface Schema {
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly additionalProperties?: Schema | boolean
  readonly 'x-proto'?: number
  readonly 'x-proto-in'?: number
  readonly 'x-name'?: string
  readonly 'x-skiff'?: string
}

/** Each message once, with its own fields. */
function messagesOf(schema: Schema, seen = new Map<string, Schema>()): Map<string, Schema> {
  const name = schema['x-name'] ?? ''
  if (name !== '' && seen.has(name)) return seen
  if (name !== '') seen.set(name, schema)
  const { items, additionalProperties: values } = schema
  const inner = [...Object.values(schema.properties ?? {}), items, typeof values === 'object' ? values : undefined]
  for (const one of inner) if (one !== undefined) messagesOf(one, seen)
  return seen
}
const messages = kinds.flatMap((kind) => [...messagesOf(kind.schema as unknown as Schema)])

test('a kind is found by its path and by its apiVersion and kind', () => {
  expect(kindByResource('apps', 'v1', 'deployments')?.kind).toBe('Deployment')
  expect(kindOf('discovery.k8s.io/v1', 'EndpointSlice')?.plural).toBe('endpointslices')
  expect(kindOf('v1', 'Deployment')).toBeUndefined()
})

test('no two kinds share a name, a plural or a short name', () => {
  const names = kinds.flatMap((kind) => [kind.plural, kind.singular, ...kind.shortNames].map((name) => `${kind.group}/${name}`))
  expect(names).toEqual([...new Set(names)])
})

test.each(byName)('%s has columns, and they start with its name or its age', (_name, kind) => {
  expect(['Name', 'Last Seen']).toContain(kind.columns[0]?.name)
  expect(kind.columns.length).toBeGreaterThanOrEqual(3)
})

test.each(byName)('%s has a builder that makes valid objects, of which each cell can be printed', (name, kind) => {
  const object = builders[name]?.()
  expect(object).toMatchObject({ apiVersion: kind.apiVersion, kind: name })
  expect(wrongIn(kind, object)).toEqual([])
  for (const { cell } of kind.columns) expect(cell(object as ApiObject, 0)).toBeDefined()
})

test.each(byName)('%s has an example in manifests/', (name, kind) => {
  expect(examples.filter(([, { apiVersion, kind: other }]) => apiVersion === kind.apiVersion && other === name)).not.toEqual([])
})

test.each(examples)('%s: each object is valid as it stands', (_file, example) => {
  const kind = kindOf(example.apiVersion, example.kind)
  expect(kind, example.kind).toBeDefined()
  if (kind === undefined) return
  expect(wrongIn(kind, created(kind, example))).toEqual([])
})

test('what defaulting and creating make passes the schema again and does not change any more', () => {
  for (const [, example] of examples) {
    const kind = kindOf(example.apiVersion, example.kind)
    if (kind === undefined) continue
    const once = created(kind, example)
    expect(created(kind, once)).toEqual(once)
    expect(parsed(kind, once)).toEqual(once)
  }
})

test.each(messages)('%s: each field has words for explain and its own protobuf number', (name, message) => {
  const fields = Object.entries(message.properties ?? {}).filter(
    ([field]) => !['apiVersion', 'kind'].includes(field) || name.includes('Reference'),
  )
  for (const [field, schema] of fields) {
    expect(schema.description, field).toMatch(/\.$/)
    expect(schema['x-proto'], field).toBeGreaterThan(0)
  }
  const numbers = fields.map(([, schema]) => `${schema['x-proto-in'] ?? ''}/${schema['x-proto']}`)
  expect(numbers).toEqual([...new Set(numbers)])
})

const compatibility = readFileSync(join(import.meta.dirname, '../../docs/compatibility.md'), 'utf8').split('\n')
const differing = [...new Map(messages)].flatMap(([name, message]) =>
  Object.entries(message.properties ?? {}).flatMap(([field, { 'x-skiff': state }]) =>
    state === undefined ? [] : [[`${name.split('.').at(-1)}.${field}`, state] as const],
  ),
)

test.each(differing)('docs/compatibility.md says that %s is %s', (field, state) => {
  expect(compatibility.find((line) => line.includes(`\`${field}\``))).toContain(state === 'refused' ? 'refused' : '| ignored |')
})
