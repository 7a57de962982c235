import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Deployment } from '../kinds/deployment.ts'
import { Pod } from '../kinds/pod.ts'
import { kinds } from '../kinds/registry.ts'
import { parseRestPath, restPath } from './paths.ts'

test.each([
  ['/api/v1/pods', { plural: 'pods' }],
  ['/api/v1/namespaces', { plural: 'namespaces' }],
  ['/api/v1/namespaces/x', { plural: 'namespaces', name: 'x' }],
  ['/api/v1/namespaces/x/status', { plural: 'namespaces', name: 'x', subresource: 'status' }],
  ['/api/v1/namespaces/x/finalize', { plural: 'namespaces', name: 'x', subresource: 'finalize' }],
  ['/api/v1/namespaces/x/pods', { plural: 'pods', namespace: 'x' }],
  ['/api/v1/namespaces/x/pods/', { plural: 'pods', namespace: 'x' }],
  ['/api/v1/namespaces/x/pods/p/log', { plural: 'pods', namespace: 'x', name: 'p', subresource: 'log' }],
  ['/api/v1/nodes/n/proxy/metrics/a', { plural: 'nodes', name: 'n', subresource: 'proxy', rest: 'metrics/a' }],
  [
    '/apis/apps/v1/namespaces/x/deployments/d/scale',
    { group: 'apps', plural: 'deployments', namespace: 'x', name: 'd', subresource: 'scale' },
  ],
])('%s is read', (path, wanted) => {
  const { group = '', ...rest } = wanted as { group?: string }
  expect(parseRestPath(path)).toEqual({
    version: 'v1',
    namespace: undefined,
    name: undefined,
    subresource: undefined,
    rest: undefined,
    group,
    ...rest,
  })
})

test.each([
  '',
  '/',
  '/api',
  '/api/v1',
  '/apis',
  '/apis/apps',
  '/apis/apps/v1',
  '/healthz',
  '/api/v1/pods/..',
  '/api/v1/pods/%2e%2e',
  '/api/v1/pods/a%2Fb',
  '/api/v1/pods/%zz',
  '/api/v1//pods',
  'api/v1/pods',
])('%j is no path of a resource', (path) => expect(parseRestPath(path)).toBeUndefined())

test('names are escaped', () => {
  expect(restPath({ kind: Pod, namespace: 'a', name: 'b c', subresource: 'log' })).toBe('/api/v1/namespaces/a/pods/b%20c/log')
  expect(restPath({ kind: Deployment })).toBe('/apis/apps/v1/deployments')
})

test('every path that is written is read as the same place', () => {
  const name = fc.stringMatching(/^[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?$/)
  fc.assert(
    fc.property(
      fc.constantFrom(...kinds),
      name,
      name,
      fc.constantFrom(undefined, 'status'),
      (kind, room, object, subresource) => {
        const namespace = kind.scope === 'Namespaced' ? room : undefined
        const path = restPath({ kind, namespace, name: object, subresource })
        expect(parseRestPath(path)).toMatchObject({
          group: kind.group,
          plural: kind.plural,
          namespace,
          name: object,
          subresource,
        })
      },
    ),
  )
})
