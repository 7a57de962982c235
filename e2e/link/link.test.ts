import { expect, test } from 'vitest'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import { Lease } from '../../api/kinds/lease.ts'
import { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { Service } from '../../api/kinds/service.ts'
import { isNotFound } from '../../api/meta/status.ts'
import { createBed, eventually } from './testbed.ts'

const ref = (name: string) => ({ namespace: 'default', name })

test('a node registers, gets a range, and keeps what its users put on it', async () => {
  await using bed = await createBed()
  const { client, signal } = bed.world
  const a = await bed.agent('a')
  const b = await bed.agent('b')
  await eventually(() =>
    expect([a, b].map(({ desired }) => desired.network.podCidr).sort()).toEqual(['10.42.0.0/24', '10.42.1.0/24']),
  )
  const node = await eventually(async () => {
    const one = await client.get(Node, { name: 'a' }, { signal })
    expect(one.status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('True')
    return one
  })
  expect(node.spec?.podCIDR).toBe(a.desired.network.podCidr)
  expect(node.status?.capacity).toMatchObject({ cpu: '2' })
  expect((await client.get(Lease, { namespace: 'kube-node-lease', name: 'a' }, { signal })).spec?.holderIdentity).toBe('a')
  await a.stop()
  const labelled = {
    ...node,
    metadata: { ...node.metadata, labels: { ...node.metadata.labels, disk: 'ssd' } },
    spec: { ...node.spec, unschedulable: true },
  }
  await client.update(Node, labelled, { signal })
  const again = await bed.agent('a')
  await eventually(() => expect(again.session.isConnected).toBe(true))
  const kept = await client.get(Node, { name: 'a' }, { signal })
  expect(kept.metadata.labels).toMatchObject({ disk: 'ssd', 'kubernetes.io/hostname': 'a' })
  expect(kept.spec).toMatchObject({ unschedulable: true, podCIDR: a.desired.network.podCidr })
})

test('a node is told its own pods with what they use, and each change of them', async () => {
  await using bed = await createBed()
  const { client, signal } = bed.world
  const config = (value: string): ConfigMap => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: ref('settings'),
    data: { value },
  })
  await client.create(ConfigMap, config('1'), { signal })
  await client.create(ConfigMap, { ...config('x'), metadata: ref('unused') }, { signal })
  const { desired } = await bed.agent('a')
  await eventually(() => expect(desired.isKnown).toBe(true))
  const envFrom = [{ configMapRef: { name: 'settings' } }, { secretRef: { name: 'later', optional: true } }]
  const mine = await bed.pod('mine', 'a', { containers: [{ name: 'c', image: 'i', envFrom }] })
  await bed.pod('other', 'b')
  await eventually(() => expect(desired.pods().map(({ metadata }) => metadata.name)).toEqual(['mine']))
  expect(desired.configMap('default', 'settings')?.data).toEqual({ value: '1' })
  expect(desired.configMap('default', 'unused')).toBeUndefined()
  await client.patch(ConfigMap, ref('settings'), { type: 'merge', body: { data: { value: '2' } } }, { signal })
  await eventually(() => expect(desired.configMap('default', 'settings')?.data).toEqual({ value: '2' }))
  await client.delete(Pod, ref('mine'), { signal, gracePeriodSeconds: 0 })
  await eventually(() => expect(desired.isRemoved(mine.metadata.uid ?? '')).toBe(true))
  expect(desired.configMap('default', 'settings')).toBeUndefined()
})

test('a status is stored, an end is final, and a pod that has ended goes for good', async () => {
  await using bed = await createBed()
  const { client, signal } = bed.world
  const { session } = await bed.agent('a')
  const pod = await bed.pod('p', 'a')
  const status = (phase: 'Running' | 'Succeeded') => ({
    phase,
    conditions: [{ type: 'Ready', status: 'True' as const }],
    podIP: '10.42.0.5',
  })
  session.status(pod, status('Running'), false)
  await eventually(async () =>
    expect((await client.get(Pod, ref('p'), { signal })).status).toMatchObject({ phase: 'Running', podIP: '10.42.0.5' }),
  )
  session.status(pod, status('Succeeded'), false)
  await eventually(async () => expect((await client.get(Pod, ref('p'), { signal })).status?.phase).toBe('Succeeded'))
  session.status(pod, status('Running'), false)
  session.event(pod, { type: 'Normal', reason: 'Started', message: 'it runs' })
  await eventually(() =>
    expect(bed.events).toMatchObject([{ subject: { kind: 'Pod', metadata: { name: 'p' } }, event: { reason: 'Started' } }]),
  )
  expect((await client.get(Pod, ref('p'), { signal })).status?.phase).toBe('Succeeded')

  const running = await bed.pod('r', 'a')
  session.status(running, status('Running'), false)
  await eventually(async () => expect((await client.get(Pod, ref('r'), { signal })).status?.phase).toBe('Running'))
  await client.delete(Pod, ref('r'), { signal })
  expect((await client.get(Pod, ref('r'), { signal })).metadata.deletionTimestamp).toBeDefined()
  session.status(running, status('Succeeded'), true)
  await eventually(() => expect(client.get(Pod, ref('r'), { signal })).rejects.toSatisfy(isNotFound))
})

test('a control plane that was away gets the statuses of meanwhile, and goes on with increments', async () => {
  await using bed = await createBed()
  const { client, signal } = bed.world
  const { session, desired } = await bed.agent('a')
  const pod = await bed.pod('p', 'a')
  await eventually(() => expect(desired.pods()).toHaveLength(1))
  await bed.stopGateway()
  await eventually(() => expect(session.isConnected).toBe(false))
  session.status(pod, { phase: 'Pending' }, false)
  session.status(pod, { phase: 'Running' }, false)
  await bed.pod('q', 'a')
  await bed.restart()
  await eventually(async () => expect((await client.get(Pod, ref('p'), { signal })).status?.phase).toBe('Running'))
  await eventually(() => expect(desired.pods()).toHaveLength(2))
})

test('a new leader tells nothing before it has seen everything up to its election', async () => {
  await using bed = await createBed()
  const { desired } = await bed.agent('a')
  await bed.pod('p', 'a')
  await eventually(() => expect(desired.pods()).toHaveLength(1))
  const told = desired.position.resultsIn
  await bed.restart({ startRevision: () => bed.world.store.revision + 1000 })
  await eventually(() => expect(bed.gateway.nodes).toEqual(['a']))
  await bed.pod('q', 'a')
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(desired.position.resultsIn).toBe(told)
  await bed.restart({ startRevision: () => bed.world.store.revision })
  await eventually(() => expect(desired.pods()).toHaveLength(2))
})

test('an agent that is started anew is told everything by the same gateway', async () => {
  await using bed = await createBed()
  const first = await bed.agent('a')
  await bed.pod('p', 'a')
  await eventually(() => expect(first.desired.pods()).toHaveLength(1))
  const before = first.desired.position.resultsIn
  await first.stop()
  const pod = await bed.pod('q', 'a')
  const second = await bed.agent('a', { folder: first.folder })
  await eventually(() => expect(second.desired.pods()).toHaveLength(2))
  expect(second.desired.pod(pod.metadata.uid ?? '')).toBeDefined()
  // By the same view of the node, however many sets that took.
  const [prefix, node, count] = before.split('.')
  const after = second.desired.position.resultsIn.split('.')
  expect(after.slice(0, 2)).toEqual([prefix, node])
  expect(Number(after[2])).toBeGreaterThan(Number(count))
})

test('a foreign control plane and one of an older epoch are refused; nothing is stopped', async () => {
  await using bed = await createBed()
  const { desired, session } = await bed.agent('a')
  await bed.pod('p', 'a')
  await eventually(() => expect(desired.pods()).toHaveLength(1))
  for (const over of [{ clusterUid: 'foreign' }, { epoch: () => 2 }]) {
    await bed.restart(over)
    await eventually(() => expect(session.isConnected).toBe(false))
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(session.isConnected).toBe(false)
    expect(desired.pods()).toHaveLength(1)
  }
  await bed.restart({ epoch: () => 4 })
  await eventually(() => expect(session.isConnected).toBe(true), 15_000)
  expect(desired.position.epoch).toBe(4n)
}, 30_000)

test('a certificate of another node opens no session', async () => {
  await using bed = await createBed()
  const thief = await bed.agent('a', { certFor: 'b' })
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(thief.session.isConnected).toBe(false)
  expect(bed.gateway.nodes).toEqual([])
  await expect(bed.world.client.get(Node, { name: 'a' }, { signal: bed.world.signal })).rejects.toSatisfy(isNotFound)
})

test('a newer session of a node replaces the older one', async () => {
  await using bed = await createBed()
  const old = await bed.agent('a')
  await eventually(() => expect(old.session.isConnected).toBe(true))
  const next = await bed.agent('a')
  await eventually(() => expect(next.session.isConnected).toBe(true))
  await bed.pod('p', 'a')
  await eventually(() => expect(next.desired.pods()).toHaveLength(1))
  expect(bed.gateway.nodes).toEqual(['a'])
})

test('every node gets the table of services, also when it changes', async () => {
  await using bed = await createBed()
  const { client, signal } = bed.world
  const { desired } = await bed.agent('a')
  await eventually(() => expect(desired.services).toBeDefined())
  const service: Service = { apiVersion: 'v1', kind: 'Service', metadata: ref('web'), spec: { ports: [{ port: 80 }] } }
  const stored = await client.create(Service, service, { signal })
  await eventually(() =>
    expect(desired.services?.services).toMatchObject([{ key: 'default/web', clusterIp: stored.spec.clusterIP }]),
  )
})

test('a status of a pod that is gone, or that is nonsense, is not sent for ever', async () => {
  await using bed = await createBed()
  const { client, signal } = bed.world
  const { session } = await bed.agent('a')
  await eventually(() => expect(session.isConnected).toBe(true))
  const gone = await bed.pod('gone', 'a')
  await client.delete(Pod, ref('gone'), { signal, gracePeriodSeconds: 0 })
  const other = await bed.pod('other', 'b')
  const odd = await bed.pod('odd', 'a')
  session.status(gone, { phase: 'Running' }, true)
  session.status(other, { phase: 'Running' }, true)
  session.status(odd, JSON.parse('{"phase":"Flying"}'), false)
  await eventually(() => expect(session.unreceived).toBe(0))
  expect((await client.get(Pod, ref('other'), { signal })).status?.phase).toBe('Pending')
  expect((await client.get(Pod, ref('odd'), { signal })).status?.phase).toBe('Pending')
})
