import { expect, test } from 'vitest'
import { Service } from '../../api/kinds/service.ts'
import { isAlreadyExists, isInvalid } from '../../api/meta/status.ts'
import { type Part, service } from '../../api/testing/builders.ts'
import { createWorld } from '../testing/world.ts'
import { parseRanges } from './allocate.ts'
import { withoutMeta } from './prepare.ts'

const named = (name: string, spec: Part<Service['spec']> = {}): Service =>
  withoutMeta(service({ metadata: { name }, spec }), 'uid', 'creationTimestamp') as Service

test('every service has an address and a node port of its own, however many come at once', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  const made = await Promise.all(
    Array.from({ length: 40 }, (_, index) => client.create(Service, named(`s${index}`, { type: 'NodePort' }), { signal })),
  )
  expect(new Set(made.map(({ spec }) => spec.clusterIP)).size).toBe(40)
  expect(new Set(made.map(({ spec }) => spec.ports?.[0]?.nodePort)).size).toBe(40)
  for (const { spec } of made) expect(spec.clusterIP).toMatch(/^10\.43\.\d+\.\d+$/)
})

test('what is asked for is given once, and given back with the service', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  const fixed = { type: 'NodePort', clusterIP: '10.43.0.1', ports: [{ port: 80, nodePort: 30_080 }] } as const
  await client.create(Service, named('a', fixed), { signal })
  const second = client.create(Service, named('b', fixed), { signal })
  await expect(second).rejects.toSatisfy(isInvalid)
  await expect(second).rejects.toThrow(/spec\.clusterIPs: .*already allocated.*spec\.ports\[0\]\.nodePort: .*already allocated/)
  await expect(client.create(Service, named('a', fixed), { signal })).rejects.toSatisfy(isAlreadyExists)
  await client.delete(Service, { namespace: 'default', name: 'a' }, { signal })
  expect((await client.create(Service, named('b', fixed), { signal })).spec.clusterIP).toBe('10.43.0.1')
  await expect(client.create(Service, named('c', { clusterIP: '10.1.0.1' }), { signal })).rejects.toThrow(
    /not in the valid range/,
  )
})

test('a service that is no longer reached from outside gives its node port back', async () => {
  await using world = await createWorld()
  const { client, signal, store } = world
  const made = await client.create(Service, named('a', { type: 'NodePort' }), { signal })
  const { items: before } = await store.list({ prefix: '/skiff/allocations/', signal })
  expect(before).toHaveLength(2)
  const inside = await client.patch(
    Service,
    { namespace: 'default', name: 'a' },
    { type: 'merge', body: { spec: { type: 'ClusterIP' } } },
    { signal },
  )
  expect(inside.spec).toMatchObject({ clusterIP: made.spec.clusterIP, type: 'ClusterIP' })
  expect(inside.spec.ports?.[0]?.nodePort).toBeUndefined()
  const { items: after } = await store.list({ prefix: '/skiff/allocations/', signal })
  expect(after).toHaveLength(1)
})

test('a headless service has no address', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  expect((await client.create(Service, named('a', { clusterIP: 'None' }), { signal })).spec.clusterIP).toBe('None')
})

test.each(['10.43.0.0', '10.43.0.0/8', 'x/16', '10.43.0.0/31'])('%s is no network of services', (serviceCidr) => {
  expect(() => parseRanges({ serviceCidr, nodePortRange: '30000-32767' })).toThrow(/network of services/)
})
