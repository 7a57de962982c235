import { expect, test } from 'vitest'
import { kinds } from '../kinds/registry.ts'
import { aggregatedDiscovery, apiGroup, apiGroupList, apiResourceList, apiVersions } from './discovery.ts'

test('the groups are listed with their versions', () => {
  expect(apiVersions('h:1')).toMatchObject({ kind: 'APIVersions', versions: ['v1'] })
  const { groups } = apiGroupList(kinds) as { groups: { name: string }[] }
  expect(groups.map(({ name }) => name)).toEqual(['apps', 'coordination.k8s.io', 'discovery.k8s.io'])
  expect(apiGroup(kinds, 'apps')).toEqual({
    kind: 'APIGroup',
    apiVersion: 'v1',
    name: 'apps',
    versions: [{ groupVersion: 'apps/v1', version: 'v1' }],
    preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
  })
  expect(apiGroup(kinds, '')).toBeUndefined()
  expect(apiGroup(kinds, 'nothing')).toBeUndefined()
})

test('a version lists its resources and their parts', () => {
  expect(apiResourceList(kinds, 'apps', 'v2')).toBeUndefined()
  const { groupVersion, resources } = apiResourceList(kinds, 'apps', 'v1') as {
    groupVersion: string
    resources: { name: string }[]
  }
  expect(groupVersion).toBe('apps/v1')
  expect(resources.filter(({ name }) => name.startsWith('deployments'))).toEqual([
    {
      name: 'deployments',
      singularName: 'deployment',
      namespaced: true,
      kind: 'Deployment',
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
      shortNames: ['deploy'],
      categories: ['all'],
    },
    { name: 'deployments/status', singularName: '', namespaced: true, kind: 'Deployment', verbs: ['get', 'patch', 'update'] },
    {
      name: 'deployments/scale',
      singularName: '',
      namespaced: true,
      group: 'autoscaling',
      version: 'v1',
      kind: 'Scale',
      verbs: ['get', 'patch', 'update'],
    },
  ])
})

test('resources stand in the order of their names', () => {
  const { resources } = apiResourceList(kinds, 'apps', 'v1') as { resources: { name: string }[] }
  expect(resources.map(({ name }) => name).filter((name) => !name.includes('/'))).toEqual(['deployments', 'replicasets'])
})

interface Aggregated {
  readonly items: readonly {
    readonly metadata: { readonly name?: string }
    readonly versions: readonly { readonly resources: readonly Resource[] }[]
  }[]
}
interface Resource {
  readonly resource: string
  readonly responseKind: { readonly kind: string }
  readonly subresources?: readonly { readonly subresource: string }[]
}

test.each(['v2', 'v2beta1'] as const)(
  'the aggregated form %s has every kind once, with the same parts as the other form',
  (version) => {
    const lists = (['core', 'groups'] as const).map((part) => aggregatedDiscovery(kinds, part, version))
    expect(lists.map(({ apiVersion }) => apiVersion)).toEqual([
      `apidiscovery.k8s.io/${version}`,
      `apidiscovery.k8s.io/${version}`,
    ])
    const resources = (lists as unknown as Aggregated[]).flatMap(({ items }) =>
      items.flatMap(({ versions }) => versions.flatMap((one) => one.resources)),
    )
    expect(resources.map(({ responseKind }) => responseKind.kind).toSorted()).toEqual(kinds.map(({ kind }) => kind).toSorted())
    for (const kind of kinds) {
      const parts = resources.find(({ resource }) => resource === kind.plural)?.subresources ?? []
      expect(parts.map(({ subresource }) => subresource)).toEqual(kind.subresources)
      const legacy = apiResourceList(kinds, kind.group, kind.version) as { resources: { name: string }[] }
      expect(legacy.resources.map(({ name }) => name)).toEqual(
        expect.arrayContaining([kind.plural, ...kind.subresources.map((part) => `${kind.plural}/${part}`)]),
      )
    }
  },
)

test('the core group stands in /api, the others in /apis', () => {
  const names = (part: 'core' | 'groups') =>
    (aggregatedDiscovery(kinds, part, 'v2') as unknown as Aggregated).items.map(({ metadata }) => metadata.name)
  expect(names('core')).toEqual([undefined])
  expect(names('groups')).toEqual(['apps', 'coordination.k8s.io', 'discovery.k8s.io'])
})
