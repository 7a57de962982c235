import { expect, test } from 'vitest'
import { Deployment } from '../kinds/deployment.ts'
import { kinds } from '../kinds/registry.ts'
import { createOpenApi, openApiDocument } from './openapi.ts'
import { openApiV2Json, openApiV2Protobuf } from './openapi-v2.ts'
import { readFields } from './protobuf-wire.ts'
import type { JsonRecord } from './schema-node.ts'

const openApi = createOpenApi(kinds, '0.0.0')
const paths = Object.keys(openApi.index.paths)

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, JsonRecord>> }
}
interface Operation {
  readonly operationId?: string
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly 'x-kubernetes-group-version-kind'?: JsonRecord
}

const read = (path: string): Document => JSON.parse(openApi.document(path) ?? 'null') as Document

test('the index leads to a document for each group and version, by a URL that changes with it', () => {
  expect(paths).toEqual(['api/v1', 'apis/apps/v1', 'apis/coordination.k8s.io/v1', 'apis/discovery.k8s.io/v1'])
  const url = openApi.index.paths['apis/apps/v1']?.serverRelativeURL
  expect(url).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9a-f]{16}$/)
  expect(createOpenApi(kinds, '0.0.1').index.paths['apis/apps/v1']?.serverRelativeURL).not.toBe(url)
  expect(openApi.document('apis/nothing/v1')).toBeUndefined()
})

test.each(paths)('every reference in %s leads somewhere', (path) => {
  const references = [...(openApi.document(path) ?? '').matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(
    ([, name]) => name,
  )
  const { schemas } = read(path).components
  expect(references.length).toBeGreaterThan(10)
  expect([...new Set(references)].filter((name) => name === undefined || !Object.hasOwn(schemas, name))).toEqual([])
})

test.each(paths)('every schema and every field in %s says what it is', (path) => {
  const silent = Object.entries(read(path).components.schemas).flatMap(([name, schema]) => {
    const fields = Object.entries((schema['properties'] ?? {}) as Record<string, JsonRecord>)
    const isSimple = ['Status', 'DeleteOptions'].some((simple) => name.endsWith(simple))
    const bare = isSimple
      ? []
      : fields.filter(([, field]) => field['description'] === undefined).map(([field]) => `${name}.${field}`)
    return schema['description'] === undefined ? [name, ...bare] : bare
  })
  expect(silent).toEqual([])
})

test.each(paths)('operations of %s have unique ids', (path) => {
  const ids = Object.values(read(path).paths)
    .flatMap((item) => Object.values(item).map(({ operationId }) => operationId))
    .filter((id) => id !== undefined)
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
})

test('every kind can be patched with fieldValidation, under its own name: what kubectl looks for', () => {
  const patches = paths
    .flatMap((path) => Object.values(read(path).paths).map(({ patch }) => patch))
    .filter((patch) => patch !== undefined)
  for (const { group, version, kind } of kinds) {
    const found = patches.find((patch) => {
      const target = patch['x-kubernetes-group-version-kind']
      return target?.['group'] === group && target['version'] === version && target['kind'] === kind
    })
    expect(found?.parameters, kind).toContainEqual(expect.objectContaining({ name: 'fieldValidation', in: 'query' }))
  }
})

test('a schema of one name has the same fields wherever it is used', () => {
  const seen = new Map<string, string>()
  const differing = paths.flatMap((path) =>
    Object.entries(read(path).components.schemas).filter(([name, schema]) => {
      const fields = JSON.stringify(Object.keys((schema['properties'] ?? {}) as JsonRecord))
      const known = seen.get(name) ?? fields
      seen.set(name, known)
      return known !== fields
    }),
  )
  expect(differing.map(([name]) => name)).toEqual([])
})

test('fields refer to named schemas, and say how lists merge and what Skiff does not do', () => {
  const { schemas } = openApiDocument([Deployment], '0.0.0').components
  expect(schemas['io.k8s.api.apps.v1.DeploymentSpec']).toMatchObject({
    required: ['selector', 'template'],
    properties: {
      replicas: { type: 'integer', format: 'int32', default: 1 },
      strategy: {
        allOf: [{ $ref: '#/components/schemas/io.k8s.api.apps.v1.DeploymentStrategy' }],
        default: {},
        'x-kubernetes-patch-strategy': 'retainKeys',
      },
    },
  })
  const { properties } = schemas['io.k8s.api.core.v1.PodSpec'] as { properties: Record<string, JsonRecord> }
  expect(properties['containers']).toMatchObject({
    type: 'array',
    items: { $ref: '#/components/schemas/io.k8s.api.core.v1.Container' },
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
    'x-kubernetes-patch-merge-key': 'name',
    'x-kubernetes-patch-strategy': 'merge',
  })
  expect(properties['preemptionPolicy']?.['description']).toMatch(/has no effect in Skiff\.$/)
  expect(schemas['io.k8s.api.apps.v1.Deployment']?.['x-kubernetes-group-version-kind']).toEqual([
    { group: 'apps', version: 'v1', kind: 'Deployment' },
  ])
})

test('the scale of a workload is a Scale', () => {
  const { scale } = { scale: read('apis/apps/v1').paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale'] }
  expect(scale?.['patch']?.['x-kubernetes-group-version-kind']).toEqual({ group: 'autoscaling', version: 'v1', kind: 'Scale' })
  expect(Object.keys(read('apis/apps/v1').components.schemas)).toContain('io.k8s.api.autoscaling.v1.Scale')
})

test('version 2 says the same in JSON and in protobuf: which version of the API there is, and nothing of kinds', () => {
  const { swagger, info, paths: none } = JSON.parse(openApiV2Json('v1.2.3')) as Readonly<Record<string, JsonRecord>>
  expect([swagger, info?.['version'], none]).toEqual(['2.0', 'v1.2.3', {}])
  const fieldsOf = (bytes: Uint8Array) => [...readFields(bytes)].map(({ tag, value }) => [tag, value] as const)
  const document = new Map(fieldsOf(new TextEncoder().encode(openApiV2Protobuf.body('v1.2.3'))))
  const textOf = (value: unknown) => new TextDecoder().decode(value as Uint8Array)
  expect([...document.keys()]).toEqual([1, 2, 8])
  expect(textOf(document.get(1))).toBe('2.0')
  expect(fieldsOf(document.get(2) as Uint8Array).map(([, value]) => textOf(value))).toEqual([info?.['title'], 'v1.2.3'])
})
