import { expect, test } from 'vitest'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import type { Deployment as DeploymentObject } from '../../api/kinds/deployment.ts'
import { Deployment } from '../../api/kinds/deployment.ts'
import { EndpointSlice } from '../../api/kinds/endpoint-slice.ts'
import { Event } from '../../api/kinds/event.ts'
import { Namespace } from '../../api/kinds/namespace.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { ReplicaSet } from '../../api/kinds/replica-set.ts'
import { Service } from '../../api/kinds/service.ts'
import { ServiceAccount } from '../../api/kinds/service-account.ts'
import { formatTime } from '../../lib/clock.ts'
import { createControllersWorld, createNode } from './testing/controllers-world.ts'

function web(namespace = 'default', image = 'a'): DeploymentObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'c', image, ports: [{ name: 'http', containerPort: 8080 }] }] },
      },
    },
  } as DeploymentObject
}

test('a Deployment becomes pods, rolls over to a new image, and takes all with it when it is deleted', async () => {
  await using world = await createControllersWorld()
  const { client, cache, signal, eventually } = world
  await createNode(world, 'n1')
  await client.create(Deployment, web(), { signal })
  await eventually(() => expect(cache.list(Pod)).toHaveLength(3))
  await eventually(async () => {
    await world.playAgents(['n1'])
    expect(cache.get(Deployment, 'default/web')?.status).toMatchObject({
      readyReplicas: 3,
      updatedReplicas: 3,
      availableReplicas: 3,
    })
  })
  const body = { spec: { template: { spec: { containers: [{ name: 'c', image: 'b' }] } } } }
  await client.patch(Deployment, { namespace: 'default', name: 'web' }, { type: 'strategic', body }, { signal })
  await eventually(async () => {
    await world.playAgents(['n1'])
    const images = cache.list(Pod).map((pod) => pod.spec.containers[0]?.image)
    expect(images).toEqual(['b', 'b', 'b'])
    const status = cache.get(Deployment, 'default/web')?.status
    expect(status?.conditions?.find((one) => one.type === 'Progressing')?.reason).toBe('NewReplicaSetAvailable')
  })
  expect(cache.get(Deployment, 'default/web')?.metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('2')
  expect(cache.list(ReplicaSet)).toHaveLength(2)
  await eventually(() => expect(cache.list(Event).map((one) => one.reason)).toContain('ScalingReplicaSet'))
  await client.delete(Deployment, { namespace: 'default', name: 'web' }, { signal, propagationPolicy: 'Background' })
  await eventually(async () => {
    await world.playAgents(['n1'])
    expect(cache.list(ReplicaSet)).toHaveLength(0)
    expect(cache.list(Pod)).toHaveLength(0)
  })
}, 60_000)

test('never more pods are made than wanted, whatever restarts in between', async () => {
  await using world = await createControllersWorld()
  const { client, cache, signal, eventually } = world
  await client.create(Deployment, web(), { signal })
  let made = 0
  const seen = new Set<string>()
  for (let i = 0; i < 5; i++) {
    await world.restart()
    await world.pass(500)
    for (const pod of cache.list(Pod)) seen.add(pod.metadata.uid ?? '')
    made = cache.list(Pod).length
  }
  await eventually(() => expect(cache.list(Pod)).toHaveLength(3))
  expect(made).toBe(3)
  expect(seen.size).toBe(3)
}, 60_000)

test('a pod whose label is taken off is let go and replaced; with the label again one pod too many goes', async () => {
  await using world = await createControllersWorld()
  const { client, cache, signal, eventually } = world
  await client.create(Deployment, web(), { signal })
  await eventually(() => expect(cache.list(Pod)).toHaveLength(3))
  const name = cache.list(Pod)[0]?.metadata.name ?? ''
  const relabel = (app: string) =>
    client.patch(Pod, { namespace: 'default', name }, { type: 'merge', body: { metadata: { labels: { app } } } }, { signal })
  await relabel('other')
  await eventually(() => expect(cache.list(Pod)).toHaveLength(4))
  expect(cache.get(Pod, `default/${name}`)?.metadata.ownerReferences ?? []).toEqual([])
  await relabel('web')
  await eventually(() => expect(cache.list(Pod)).toHaveLength(3))
}, 60_000)

test('orphaning keeps the pods, foreground deletion keeps the owner until they are gone', async () => {
  await using world = await createControllersWorld()
  const { client, cache, signal, eventually } = world
  await client.create(Deployment, web(), { signal })
  await eventually(() => expect(cache.list(Pod)).toHaveLength(3))
  await client.delete(Deployment, { namespace: 'default', name: 'web' }, { signal, propagationPolicy: 'Orphan' })
  await eventually(() => expect(cache.list(Deployment)).toHaveLength(0))
  expect(cache.list(Pod)).toHaveLength(3)
  const set = cache.list(ReplicaSet)[0]
  expect(set?.metadata.ownerReferences ?? []).toEqual([])
  await createNode(world, 'n1')
  await world.playAgents(['n1'])
  const name = set?.metadata.name ?? ''
  await client.delete(ReplicaSet, { namespace: 'default', name }, { signal, propagationPolicy: 'Foreground' })
  await eventually(() => expect(cache.list(Pod).every((pod) => pod.metadata.deletionTimestamp !== undefined)).toBe(true))
  expect(cache.list(ReplicaSet)).toHaveLength(1)
  await eventually(async () => {
    await world.playAgents(['n1'])
    expect(cache.list(ReplicaSet)).toHaveLength(0)
  })
  expect(cache.list(Pod)).toHaveLength(0)
}, 60_000)

test('objects that own each other do not block their foreground deletion', async () => {
  await using world = await createControllersWorld()
  const { client, cache, signal, eventually } = world
  const made = async (name: string): Promise<ConfigMap> =>
    await client.create(ConfigMap, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } }, { signal })
  const [a, b] = [await made('a'), await made('b')]
  const owned = (one: ConfigMap, { metadata }: ConfigMap) =>
    client.patch(
      ConfigMap,
      { namespace: 'default', name: one.metadata.name ?? '' },
      {
        type: 'merge',
        body: {
          metadata: {
            ownerReferences: [
              { apiVersion: 'v1', kind: 'ConfigMap', name: metadata.name, uid: metadata.uid, blockOwnerDeletion: true },
            ],
          },
        },
      },
      { signal },
    )
  await owned(a, b)
  await owned(b, a)
  await client.delete(ConfigMap, { namespace: 'default', name: 'a' }, { signal, propagationPolicy: 'Foreground' })
  await eventually(() => expect(cache.list(ConfigMap).filter(({ metadata }) => metadata.namespace === 'default')).toEqual([]))
})

test('a service has the ready pods in its slices, by the number of the named port', async () => {
  await using world = await createControllersWorld()
  const { client, cache, signal, eventually } = world
  await createNode(world, 'n1')
  await client.create(Deployment, web(), { signal })
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] },
  }
  await client.create(Service, service as Service, { signal })
  await eventually(() => expect(cache.list(Pod)).toHaveLength(3))
  const first = cache.list(Pod)[0]?.metadata.name
  await eventually(async () => {
    await world.playAgents(['n1'], (pod) => pod.metadata.name !== first)
    const slices = cache.list(EndpointSlice)
    expect(slices).toHaveLength(1)
    expect(slices[0]?.ports).toMatchObject([{ port: 8080, protocol: 'TCP' }])
    expect(slices[0]?.endpoints?.map((one) => one.conditions?.ready).sort()).toEqual([false, true, true])
  })
  await client.delete(Service, { namespace: 'default', name: 'web' }, { signal })
  await eventually(() => expect(cache.list(EndpointSlice)).toHaveLength(0))
}, 60_000)

test('a namespace gets its account, and goes only when everything in it is gone', async () => {
  await using world = await createControllersWorld()
  const { client, cache, signal, eventually } = world
  await createNode(world, 'n1')
  await client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } }, { signal })
  await eventually(() => expect(cache.get(ServiceAccount, 'x/default')).toBeDefined())
  await client.create(Deployment, web('x'), { signal })
  await eventually(() => expect(cache.list(Pod, 'x')).toHaveLength(3))
  await world.playAgents(['n1'])
  await client.delete(Namespace, { name: 'x' }, { signal })
  await world.pass(1_500)
  // Whoever deletes the namespace and its objects in one go still finds them.
  expect(cache.get(Deployment, 'x/web')?.metadata.deletionTimestamp).toBeUndefined()
  expect(cache.get(Deployment, 'x/web')).toBeDefined()
  await eventually(() => {
    const namespace = cache.get(Namespace, 'x')
    expect(namespace?.status?.phase).toBe('Terminating')
    expect(namespace?.status?.conditions?.find((one) => one.type === 'NamespaceContentRemaining')?.message).toContain(
      'pods has 3',
    )
  })
  await eventually(async () => {
    await world.playAgents(['n1'])
    expect(cache.get(Namespace, 'x')).toBeUndefined()
  })
  expect(cache.list(Pod, 'x')).toHaveLength(0)
}, 60_000)

test('an object whose owner never was, or was made anew, goes; an owner in another namespace neither keeps nor costs it', async () => {
  await using world = await createControllersWorld()
  const { client, cache, signal, eventually } = world
  const owned = (name: string, owner: { name: string; uid: string }) =>
    client.create(
      ConfigMap,
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace: 'default', name, ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', ...owner }] },
      },
      { signal },
    )
  const plain = (namespace: string, name: string) =>
    client.create(ConfigMap, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name } }, { signal })
  const here = await plain('default', 'owner')
  const there = await plain('kube-system', 'owner')
  await owned('kept', { name: 'owner', uid: here.metadata.uid ?? '' })
  await owned('stale', { name: 'owner', uid: 'of-the-one-before' })
  await owned('lost', { name: 'nobody', uid: 'x' })
  await owned('abroad', { name: 'owner', uid: there.metadata.uid ?? '' })
  await eventually(() => {
    expect(cache.list(ConfigMap, 'default').map((one) => one.metadata.name)).toEqual(['abroad', 'kept', 'owner'])
    expect(cache.list(Event).map((one) => one.reason)).toContain('OwnerRefInvalidNamespace')
  })
  await client.delete(ConfigMap, { namespace: 'default', name: 'owner' }, { signal })
  await eventually(() => expect(cache.get(ConfigMap, 'default/kept')).toBeUndefined())
  expect(cache.get(ConfigMap, 'default/abroad')).toBeDefined()
}, 60_000)

test('owners in a circle, and one that owns itself, stay while nobody deletes them, and go together', async () => {
  await using world = await createControllersWorld()
  const { client, cache, signal, eventually } = world
  const names = ['a', 'b', 'c', 'self', 'bystander']
  const made = new Map<string, string>()
  for (const name of names) {
    const plain = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'default', name } }
    made.set(name, (await client.create(ConfigMap, plain, { signal })).metadata.uid ?? '')
  }
  const own = async (owner: string, owned: string): Promise<void> => {
    const ref = { apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid: made.get(owner), blockOwnerDeletion: true }
    const body = { metadata: { ownerReferences: [ref] } }
    await client.patch(ConfigMap, { namespace: 'default', name: owned }, { type: 'merge', body }, { signal })
  }
  for (const [owner, owned] of [
    ['a', 'b'],
    ['b', 'c'],
    ['c', 'a'],
    ['self', 'self'],
  ] as const)
    await own(owner, owned)
  await world.pass(20_000)
  expect(cache.list(ConfigMap, 'default').map((one) => one.metadata.name)).toEqual(['a', 'b', 'bystander', 'c', 'self'])
  await client.delete(ConfigMap, { namespace: 'default', name: 'self' }, { signal, propagationPolicy: 'Foreground' })
  await client.delete(ConfigMap, { namespace: 'default', name: 'b' }, { signal, propagationPolicy: 'Foreground' })
  await eventually(() => expect(cache.list(ConfigMap, 'default').map((one) => one.metadata.name)).toEqual(['bystander']))
}, 60_000)

test('events go an hour after they last happened', async () => {
  await using world = await createControllersWorld()
  const { client, cache, signal, clock } = world
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { namespace: 'default', name: 'e' },
    involvedObject: { kind: 'Pod', namespace: 'default', name: 'p' },
    reason: 'Started',
    lastTimestamp: formatTime(clock.now()),
  }
  await client.create(Event, event as Event, { signal })
  await world.pass(3000)
  const step = async (ms: number): Promise<void> => {
    clock.step(ms)
    await world.pass(1000)
  }
  await step(50 * 60_000)
  expect(cache.list(Event)).toHaveLength(1)
  await step(11 * 60_000)
  expect(cache.list(Event)).toHaveLength(0)
}, 60_000)
