import { expect, test } from 'vitest'
import type { EndpointSlice } from '../../api/kinds/endpoint-slice.ts'
import { Lease } from '../../api/kinds/lease.ts'
import { Node } from '../../api/kinds/node.ts'
import type { Service } from '../../api/kinds/service.ts'
import { createWorld } from '../testing/world.ts'
import { mergeConditions } from './node-registration.ts'
import { PodCidrs, subnetsOf } from './pod-cidr.ts'
import { mergeStatus } from './pod-status.ts'
import { serviceTable } from './service-table.ts'

test('ranges of nodes lie in the range of the cluster', () => {
  const subnets = subnetsOf('10.42.0.0/16')
  expect([subnets.length, subnets[0], subnets[1], subnets.at(-1)]).toEqual([
    256,
    '10.42.0.0/24',
    '10.42.1.0/24',
    '10.42.255.0/24',
  ])
  expect(subnetsOf('192.168.7.9/24')).toEqual(['192.168.7.0/24'])
  for (const bad of ['10.42.0.0', '10.42.0.0/28', '300.1.1.1/16', 'fd00::/48']) expect(() => subnetsOf(bad)).toThrow(bad)
})

test('hundreds of nodes that come at once share a look at the claims, and one that gives up holds up nobody', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  let looks = 0
  const counting = new Proxy(client, {
    get(target, name, receiver) {
      if (name === 'list') looks += 1
      return Reflect.get(target, name, receiver)
    },
  })
  const cidrs = new PodCidrs(counting, '10.0.0.0/12')
  const gone = new AbortController()
  const late = cidrs.claim('late', { signal: gone.signal })
  const all = Array.from({ length: 200 }, (_, index) => cidrs.claim(`n${index}`, { signal }))
  gone.abort(new Error('gave up'))
  await expect(late).rejects.toThrow('gave up')
  expect(new Set(await Promise.all(all)).size).toBe(200)
  expect(looks).toBeLessThan(10)
})

test('no range is given out twice, by two control planes at once; one of a node that is gone comes last', async () => {
  await using world = await createWorld()
  const { client, signal } = world
  const planes = [new PodCidrs(client, '10.42.0.0/22'), new PodCidrs(client, '10.42.0.0/22')] as const
  const claim = (name: string, plane: 0 | 1): Promise<string> => planes[plane].claim(name, { signal })
  const claimed = await Promise.all([claim('a', 0), claim('b', 1), claim('c', 0)])
  expect(new Set(claimed).size).toBe(3)
  expect(await claim('a', 1)).toBe(claimed[0])
  for (const name of ['a', 'c', 'd'])
    await client.create(Node, { apiVersion: 'v1', kind: Node.kind, metadata: { name } }, { signal })
  expect(claimed).not.toContain(await claim('d', 1))
  expect(await claim('e', 0)).toBe(claimed[1])
  await client.create(Node, { apiVersion: 'v1', kind: Node.kind, metadata: { name: 'e' } }, { signal })
  await expect(claim('f', 1)).rejects.toThrow('no pod range is left for node "f"')
  expect((await client.list(Lease, { namespace: 'kube-system', signal })).items).toHaveLength(4)
})

test("a node that the store has forgotten keeps the range it has, before newcomers, unless that is another's or no range", async () => {
  await using world = await createWorld()
  const cidrs = new PodCidrs(world.client, '10.42.0.0/21')
  const claim = (name: string, held?: string): Promise<string> =>
    cidrs.claim(name, { signal: world.signal, ...(held === undefined ? {} : { held }) })
  // The first look is for the first alone.
  const claims = [claim('first'), claim('newcomer'), claim('known', '10.42.1.0/24')]
  expect(await Promise.all(claims)).toEqual(['10.42.0.0/24', '10.42.2.0/24', '10.42.1.0/24'])
  expect(await claim('stranger', '10.43.1.0/24')).toBe('10.42.3.0/24')
  expect(await claim('late', '10.42.1.0/24')).toBe('10.42.4.0/24')
  expect(await claim('known', '10.42.5.0/24')).toBe('10.42.1.0/24')
})

test('a condition keeps the time of its transition, and a session without a word on Ready means ready', () => {
  const nowMs = Date.UTC(2026, 0, 2)
  const before = [
    { type: 'Ready', status: 'Unknown' as const, lastTransitionTime: '2026-01-01T00:00:00Z' },
    { type: 'Disk', status: 'False' as const, reason: 'r', message: 'm', lastTransitionTime: '2026-01-01T00:00:00Z' },
  ]
  const merged = mergeConditions(before, [{ type: 'Disk', status: 'False', reason: 'r', message: 'm' }], nowMs)
  expect(merged).toMatchObject([
    { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-02T00:00:00Z' },
    { type: 'Disk', status: 'False', lastTransitionTime: '2026-01-01T00:00:00Z' },
  ])
  expect(mergeConditions(merged, [{ type: 'Disk', status: 'False', reason: 'r', message: 'm' }], nowMs + 1000)).toEqual(merged)
})

test('a status keeps what is not the agent’s to say', () => {
  const scheduled = { type: 'PodScheduled', status: 'True' as const, lastTransitionTime: '2026-01-01T00:00:00Z' }
  const before = {
    phase: 'Pending' as const,
    qosClass: 'Burstable' as const,
    conditions: [scheduled],
    startTime: '2026-01-01T00:00:00Z',
  }
  const told = {
    phase: 'Running' as const,
    conditions: [{ type: 'Ready', status: 'True' as const }],
    startTime: '2026-01-05T00:00:00Z',
  }
  expect(mergeStatus(before, told)).toMatchObject({
    phase: 'Running',
    qosClass: 'Burstable',
    startTime: before.startTime,
    conditions: [scheduled, { type: 'Ready' }],
  })
  const ended = { phase: 'Failed' as const }
  expect(mergeStatus(ended, told)).toBe(ended)
})

test('a pod that has ended keeps the address that it had', () => {
  const ended = { phase: 'Succeeded' as const, podIP: '10.42.0.3', podIPs: [{ ip: '10.42.0.3' }] }
  expect(mergeStatus(ended, { phase: 'Succeeded' })).toMatchObject(ended)
  expect(mergeStatus({ ...ended, phase: 'Running' }, { phase: 'Running' }).podIP).toBeUndefined()
})

test('restarts that were counted stay counted when the containers that told of them are gone', () => {
  const status = (restartCount: number) => ({
    containerStatuses: [{ name: 'c', restartCount, ready: true, image: 'i', imageID: '' }],
  })
  expect(mergeStatus(status(3), status(0)).containerStatuses).toMatchObject([{ name: 'c', restartCount: 3 }])
  expect(mergeStatus(status(3), status(4)).containerStatuses).toMatchObject([{ name: 'c', restartCount: 4 }])
})

test('a service leads to its ready endpoints, or to those that still serve when none is ready', () => {
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'n' },
    spec: {
      clusterIP: '10.43.0.9',
      sessionAffinity: 'ClientIP',
      externalTrafficPolicy: 'Local',
      ports: [{ name: 'http', port: 80, nodePort: 30080 }],
    },
  }
  const slice = (ready: boolean): EndpointSlice => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 's', namespace: 'n', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [
      { name: 'http', port: 8080 },
      { name: 'other', port: 1 },
    ],
    endpoints: [
      { addresses: ['10.42.0.7'], conditions: { ready }, nodeName: 'a' },
      { addresses: ['10.42.0.8'], conditions: { ready: false, serving: true, terminating: true }, nodeName: 'b' },
    ],
  })
  const headless: Service = { ...service, metadata: { name: 'h', namespace: 'n' }, spec: { clusterIP: 'None' } }
  const table = serviceTable([service, headless], [slice(true)], 5)
  expect(table).toMatchObject({
    revision: 5n,
    services: [
      {
        key: 'n/web',
        clientIpAffinity: true,
        affinityTimeoutSeconds: 10_800,
        externalLocal: true,
        internalLocal: false,
        ports: [{ protocol: 'TCP', port: 80, nodePort: 30_080, endpoints: [{ ip: '10.42.0.7', port: 8080, node: 'a' }] }],
      },
    ],
  })
  expect(table.services).toHaveLength(1)
  expect(serviceTable([service], [slice(false)], 6).services[0]?.ports[0]?.endpoints).toMatchObject([{ ip: '10.42.0.8' }])
})
