import { expect, test } from 'vitest'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import { Lease } from '../../api/kinds/lease.ts'
import { Namespace } from '../../api/kinds/namespace.ts'
import { Secret } from '../../api/kinds/secret.ts'
import { nodeIdentity } from '../../api/meta/request.ts'
import { isConflict, isForbidden, isInvalid, isNotFound } from '../../api/meta/status.ts'
import { configMap, lease, secret } from '../../api/testing/builders.ts'
import { createWorld } from '../testing/world.ts'
import { withoutMeta } from './prepare.ts'

const fresh = <O extends Parameters<typeof withoutMeta>[0]>(object: O): O => withoutMeta(object, 'uid', 'creationTimestamp') as O
const ref = { namespace: 'default', name: 'config' }

test('a finalizer holds an object until it is taken off, and none is added meanwhile', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  await client.create(ConfigMap, fresh(configMap({ metadata: { finalizers: ['example.com/hold'] } })), { signal })
  await client.delete(ConfigMap, ref, { signal })
  const going = await client.get(ConfigMap, ref, { signal })
  expect(going.metadata.deletionTimestamp).toBe('2026-01-01T00:00:00Z')
  const more = { ...going, metadata: { ...going.metadata, finalizers: ['example.com/hold', 'example.com/more'] } }
  await expect(client.update(ConfigMap, more, { signal })).rejects.toSatisfy(isInvalid)
  await client.delete(ConfigMap, ref, { signal })
  expect((await client.get(ConfigMap, ref, { signal })).metadata.resourceVersion).toBe(going.metadata.resourceVersion)
  await client.update(ConfigMap, { ...going, metadata: { ...going.metadata, finalizers: [] } }, { signal })
  await expect(client.get(ConfigMap, ref, { signal })).rejects.toSatisfy(isNotFound)
})

test.each([
  ['Foreground', ['foregroundDeletion']],
  ['Orphan', ['orphan']],
] as const)('propagation %s waits for the garbage collector', async (propagationPolicy, finalizers) => {
  await using world = await createWorld()
  const { client, signal } = world
  await client.create(ConfigMap, fresh(configMap()), { signal })
  await client.delete(ConfigMap, ref, { signal, propagationPolicy })
  expect((await client.get(ConfigMap, ref, { signal })).metadata.finalizers).toEqual(finalizers)
})

test('a deletion with another uid or revision in mind is refused, and a dry run deletes nothing', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  const made = await client.create(ConfigMap, fresh(configMap()), { signal })
  await expect(client.delete(ConfigMap, ref, { signal, preconditions: { uid: 'other' } })).rejects.toSatisfy(isConflict)
  await expect(client.delete(ConfigMap, ref, { signal, preconditions: { resourceVersion: '1' } })).rejects.toSatisfy(isConflict)
  await client.delete(ConfigMap, ref, { signal, dryRun: true })
  expect(await client.get(ConfigMap, ref, { signal })).toBe(made)
  await expect(client.delete(Namespace, { name: 'default' }, { signal })).rejects.toSatisfy(isForbidden)
})

test('a leader that was replaced cannot write any more', async () => {
  await using world = await createWorld()
  const { signal, store } = world
  const leadership = await store.campaign({ key: '/skiff/elections/a', value: 'x', ttlMs: 1_000, signal })
  const leader = world.as({ user: 'a', groups: ['system:masters'] }, () => leadership.fence)
  await leader.create(ConfigMap, fresh(configMap()), { signal })
  store.loseLeadership('/skiff/elections/a')
  await expect(leader.create(ConfigMap, fresh(configMap({ metadata: { name: 'b' } })), { signal })).rejects.toSatisfy(isConflict)
  await expect(leader.patch(ConfigMap, ref, { type: 'merge', body: { data: { a: 'b' } } }, { signal })).rejects.toSatisfy(
    isConflict,
  )
  expect(world.cache.list(ConfigMap, 'default')).toHaveLength(1)
})

test('a node writes its own lease, and reads no secret that none of its pods uses', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  const node = world.as(nodeIdentity('node-1'))
  const mine = fresh(lease({ metadata: { namespace: 'kube-node-lease' } }))
  await node.create(Lease, mine, { signal })
  await expect(node.create(Lease, { ...mine, metadata: { ...mine.metadata, name: 'node-2' } }, { signal })).rejects.toSatisfy(
    isForbidden,
  )
  await client.create(Secret, fresh(secret()), { signal })
  await expect(node.get(Secret, { namespace: 'default', name: 'secret' }, { signal })).rejects.toSatisfy(isForbidden)
  await expect(node.list(Secret, { signal })).rejects.toSatisfy(isForbidden)
})
