import { expect, test } from 'vitest'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import { Deployment } from '../../api/kinds/deployment.ts'
import { Namespace } from '../../api/kinds/namespace.ts'
import { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { isAlreadyExists, isConflict, isForbidden, isInvalid, isNotFound } from '../../api/meta/status.ts'
import { configMap, deployment, node, pod } from '../../api/testing/builders.ts'
import { laggingServer } from '../testing/lagging.ts'
import { createWorld } from '../testing/world.ts'
import { withoutMeta } from './prepare.ts'

const fresh = <O extends Parameters<typeof withoutMeta>[0]>(object: O): O => withoutMeta(object, 'uid', 'creationTimestamp') as O

test('what is created can be read at once, with all that the server gives it', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  const made = await client.create(Deployment, fresh(deployment()), { signal })
  expect(made.metadata).toMatchObject({
    name: 'web',
    namespace: 'default',
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
  })
  expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/)
  const read = await client.get(Deployment, { namespace: 'default', name: 'web' }, { signal })
  expect(read).toBe(world.cache.get(Deployment, 'default/web'))
  expect(read.metadata.resourceVersion).toBe(made.metadata.resourceVersion)
  expect(read.spec.strategy?.type).toBe('RollingUpdate')
})

test('a name is given once; a generated one is drawn again', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  await client.create(ConfigMap, fresh(configMap()), { signal })
  await expect(client.create(ConfigMap, fresh(configMap()), { signal })).rejects.toSatisfy(isAlreadyExists)
  const generated = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'a-', namespace: 'default' } }
  const made = await Promise.all(Array.from({ length: 20 }, () => client.create(ConfigMap, generated, { signal })))
  expect(new Set(made.map(({ metadata }) => metadata.name)).size).toBe(20)
})

test('nothing is created in a namespace that is absent or going', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  const inB = fresh(configMap({ metadata: { namespace: 'b' } }))
  await expect(client.create(ConfigMap, inB, { signal })).rejects.toSatisfy(isNotFound)
  await client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'b' } }, { signal })
  await client.create(ConfigMap, inB, { signal })
  await client.delete(Namespace, { name: 'b' }, { signal })
  const going = await client.get(Namespace, { name: 'b' }, { signal })
  expect(going.status?.phase).toBe('Terminating')
  await expect(
    client.create(ConfigMap, fresh(configMap({ metadata: { namespace: 'b', name: 'c' } })), { signal }),
  ).rejects.toSatisfy(isForbidden)
  await client.update(Namespace, { ...going, spec: { finalizers: [] } }, { signal, subresource: 'finalize' })
  await expect(client.get(Namespace, { name: 'b' }, { signal })).rejects.toSatisfy(isNotFound)
})

test('an update changes the generation with the spec only, and nothing when it says nothing new', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  const made = await client.create(Deployment, fresh(deployment()), { signal })
  const labelled = await client.update(Deployment, { ...made, metadata: { ...made.metadata, labels: { a: 'b' } } }, { signal })
  expect(labelled.metadata.generation).toBe(1)
  const scaled = await client.update(Deployment, { ...labelled, spec: { ...labelled.spec, replicas: 3 } }, { signal })
  expect(scaled.metadata.generation).toBe(2)
  const same = await client.update(Deployment, scaled, { signal })
  expect(same.metadata.resourceVersion).toBe(scaled.metadata.resourceVersion)
  await expect(client.update(Deployment, { ...labelled, spec: { ...labelled.spec, replicas: 4 } }, { signal })).rejects.toSatisfy(
    isConflict,
  )
  const status = await client.updateStatus(
    Deployment,
    { ...scaled, spec: { ...scaled.spec, replicas: 9 }, status: { replicas: 2 } },
    { signal },
  )
  expect(status).toMatchObject({ spec: { replicas: 3 }, status: { replicas: 2 }, metadata: { generation: 2 } })
})

test('a change that a lagging cache takes for done already is done all the same', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  await client.create(ConfigMap, fresh(configMap({ data: { is: 'off' } })), { signal })
  await using other = await laggingServer(world)
  const ref = { namespace: 'default', name: 'config' }
  const set = (by: typeof client, is: string) => by.patch(ConfigMap, ref, { type: 'merge', body: { data: { is } } }, { signal })
  other.hold()
  await set(client, 'on')
  const off = set(other.client, 'off')
  await new Promise((resolve) => setImmediate(resolve))
  other.release()
  expect((await off).data?.['is']).toBe('off')
  expect((await client.get(ConfigMap, ref, { signal })).data?.['is']).toBe('off')
})

test('writers at the same time lose nothing', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  await client.create(ConfigMap, fresh(configMap()), { signal })
  const ref = { namespace: 'default', name: 'config' }
  const keys = Array.from({ length: 25 }, (_, index) => `k${index}`)
  await Promise.all(
    keys.map((key) => client.patch(ConfigMap, ref, { type: 'merge', body: { data: { [key]: 'x' } } }, { signal })),
  )
  const read = await client.get(ConfigMap, ref, { signal })
  expect(Object.keys(read.data ?? {})).toEqual(expect.arrayContaining(keys))
})

test('a pod that runs gets its time to end, one that runs nowhere goes at once', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  await client.create(Node, fresh(node()), { signal })
  const made = await client.create(Pod, fresh(pod()), { signal })
  await client.bind(made, 'node-1', { signal })
  await expect(client.bind(made, 'node-1', { signal })).rejects.toSatisfy(isConflict)
  const ref = { namespace: 'default', name: 'web' }
  await client.delete(Pod, ref, { signal })
  const going = await client.get(Pod, ref, { signal })
  expect(going).toMatchObject({
    metadata: { deletionGracePeriodSeconds: 30, deletionTimestamp: '2026-01-01T00:00:30Z' },
    spec: { nodeName: 'node-1' },
  })
  await client.delete(Pod, ref, { signal, gracePeriodSeconds: 0 })
  await expect(client.get(Pod, ref, { signal })).rejects.toSatisfy(isNotFound)
  await client.create(Pod, fresh(pod()), { signal })
  await client.delete(Pod, ref, { signal })
  await expect(client.get(Pod, ref, { signal })).rejects.toSatisfy(isNotFound)
})

test('wrong fields are named', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  const wrong = client.create(Deployment, fresh(deployment({ metadata: { name: 'Not_a_name' }, spec: { replicas: -1 } })), {
    signal,
  })
  await expect(wrong).rejects.toSatisfy(isInvalid)
  await expect(wrong).rejects.toThrow(/metadata\.name: .*spec\.replicas: /)
})
