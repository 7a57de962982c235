import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Node } from '../../api/kinds/node.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import { node as buildNode, pod as buildPod } from '../../api/testing/builders.ts'
import { seededRandom } from '../../lib/random.ts'
import { decide, enoughNodes } from './decide.ts'
import { portsClash } from './plugins/node-ports.ts'
import type { Cluster } from './plugins/plugin.ts'
import { plugins } from './plugins/registry.ts'
import { podRequests } from './resources.ts'
import { hostPortsOf, Snapshot } from './snapshot.ts'

let serial = 0
const aNode = (name: string, more: object = {}): Node =>
  buildNode(
    {
      metadata: { name, labels: { 'kubernetes.io/hostname': name } },
      status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110' } },
    },
    more,
  )
const aPod = (spec: object = {}, metadata: object = {}): Pod =>
  buildPod({ metadata: { name: `p${serial}`, namespace: 'default', uid: `uid-${serial++}`, ...metadata } }, { spec })
const asking = (requests: object, more: object = {}): Pod =>
  aPod({ containers: [{ name: 'c', image: 'i', resources: { requests } }], ...more })

function world(
  nodes: readonly Node[],
  bound: readonly (readonly [Pod, string])[] = [],
): { snapshot: Snapshot; cluster: Cluster } {
  const snapshot = new Snapshot()
  for (const node of nodes) snapshot.setNode(node)
  for (const [pod, name] of bound) snapshot.setPod({ ...pod, spec: { ...pod.spec, nodeName: name } })
  const cluster = {
    nodes: snapshot.nodes,
    podsWithAntiAffinity: snapshot.podsWithAntiAffinity,
    node: (name: string) => snapshot.node(name),
    namespaceLabels: () => ({ team: 'a' }),
  }
  return { snapshot, cluster }
}

const run = (pod: Pod, cluster: Cluster) => decide(pod, cluster, { plugins, random: seededRandom(1) })
const why = (pod: Pod, cluster: Cluster): string => {
  const decision = run(pod, cluster)
  return decision.type === 'nowhere' ? decision.message : `node ${decision.node}`
}

const tainted = { spec: { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] } }
const twoNodes = [aNode('a'), aNode('b')]
const webPod = () => aPod({}, { labels: { app: 'web' } })
const hostTerm = { labelSelector: { matchLabels: { app: 'web' } }, topologyKey: 'kubernetes.io/hostname' }

test.each([
  [
    'too much memory',
    () => why(asking({ memory: '9Gi' }), world(twoNodes).cluster),
    '0/2 nodes are available: 2 Insufficient memory.',
  ],
  [
    'too much of two',
    () => why(asking({ cpu: '5', memory: '9Gi' }), world([aNode('a')]).cluster),
    '0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.',
  ],
  ['no node at all', () => why(aPod(), world([]).cluster), 'no nodes available to schedule pods'],
  [
    'another node wanted',
    () => why(aPod({ nodeSelector: { disk: 'ssd' } }), world(twoNodes).cluster),
    "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
  ],
  [
    'a cordoned node',
    () => why(aPod(), world([aNode('a', { spec: { unschedulable: true } })]).cluster),
    '0/1 nodes are available: 1 node(s) were unschedulable.',
  ],
  [
    'a taint',
    () => why(aPod(), world([aNode('a', tainted)]).cluster),
    '0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}.',
  ],
  [
    'a tolerated taint',
    () => why(aPod({ tolerations: [{ key: 'gpu', operator: 'Exists' }] }), world([aNode('a', tainted)]).cluster),
    'node a',
  ],
  [
    'several reasons',
    () => why(asking({ memory: '9Gi' }), world([aNode('a', tainted), aNode('b')]).cluster),
    '0/2 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint {gpu: yes}.',
  ],
  [
    'full of pods',
    () => why(aPod(), world([aNode('a', { status: { allocatable: { cpu: '4', memory: '8Gi', pods: '0' } } })]).cluster),
    '0/1 nodes are available: 1 Too many pods.',
  ],
  [
    'away from its like',
    () =>
      why(
        aPod({ affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [hostTerm] } } }),
        world([aNode('a')], [[webPod(), 'a']]).cluster,
      ),
    "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.",
  ],
  [
    'kept out by who is there',
    () =>
      why(
        webPod(),
        world(
          [aNode('a')],
          [[aPod({ affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [hostTerm] } } }), 'a']],
        ).cluster,
      ),
    "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.",
  ],
  [
    'near others',
    () =>
      why(
        aPod({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [hostTerm] } } }),
        world(twoNodes, [[webPod(), 'b']]).cluster,
      ),
    'node b',
  ],
  [
    'the first of its kind',
    () =>
      why(
        aPod(
          { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [hostTerm] } } },
          { labels: { app: 'web' } },
        ),
        world([aNode('a')]).cluster,
      ),
    'node a',
  ],
  [
    'by node affinity',
    () =>
      why(
        aPod({
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['b'] }] }],
              },
            },
          },
        }),
        world(twoNodes).cluster,
      ),
    'node b',
  ],
] as const)('%s', (_, result, expected) => {
  expect(result()).toBe(expected)
})

test('a taken host port turns a node away, whatever the address', () => {
  const withPort = (hostIP?: string) =>
    aPod({
      containers: [
        { name: 'c', image: 'i', ports: [{ containerPort: 80, hostPort: 8080, ...(hostIP === undefined ? {} : { hostIP }) }] },
      ],
    })
  const { cluster } = world([aNode('a')], [[withPort(), 'a']])
  expect(why(withPort('127.0.0.1'), cluster)).toBe(
    "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
  )
})

test('pods of one owner spread over the nodes', () => {
  const owned = () =>
    aPod({}, { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: 'r', controller: true }] })
  const { snapshot, cluster } = world([aNode('a'), aNode('b'), aNode('c')])
  for (let i = 0; i < 6; i++) {
    const pod = owned()
    const decision = run(pod, { ...cluster, nodes: snapshot.nodes })
    if (decision.type === 'node') snapshot.assume(pod, decision.node)
  }
  expect(snapshot.nodes.map(({ pods }) => pods.size)).toEqual([2, 2, 2])
})

test('a node that has the image is preferred', () => {
  const images = [{ names: ['big:1'], sizeBytes: 900 * 1024 * 1024 }]
  const { cluster } = world([
    aNode('a'),
    aNode('b', { status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110' }, images } }),
  ])
  expect(why(aPod({ containers: [{ name: 'c', image: 'big:1' }] }), cluster)).toBe('node b')
})

test('init containers count by the largest, containers by the sum', () => {
  const c = (name: string, cpu: string) => ({ name, image: 'i', resources: { requests: { cpu } } })
  expect(podRequests(aPod({ containers: [c('a', '1'), c('b', '1')], initContainers: [c('i', '3')] })).get('cpu')).toBe(3000)
})

test('an assumed pod counts until it is forgotten or confirmed', () => {
  const { snapshot } = world([aNode('a')])
  const pod = asking({ cpu: '3' })
  snapshot.assume(pod, 'a')
  expect(why(asking({ cpu: '2' }), { ...world([]).cluster, nodes: snapshot.nodes })).toContain('Insufficient cpu')
  snapshot.forget(pod.metadata.uid ?? '')
  expect(snapshot.node('a')?.requested.get('cpu')).toBe(0)
})

const anyPod = fc
  .record({ cpu: fc.integer({ min: 0, max: 3000 }), port: fc.option(fc.integer({ min: 8000, max: 8003 }), { nil: undefined }) })
  .map(({ cpu, port }) =>
    aPod({
      containers: [
        {
          name: 'c',
          image: 'i',
          resources: { requests: { cpu: `${cpu}m` } },
          ...(port === undefined ? {} : { ports: [{ containerPort: 80, hostPort: port }] }),
        },
      ],
    }),
  )

test('whatever comes, no node is overcommitted, no host port is given twice, and explanations count every node', () => {
  fc.assert(
    fc.property(fc.array(anyPod, { maxLength: 25 }), fc.integer({ min: 1, max: 4 }), (pods, count) => {
      const { snapshot, cluster } = world(Array.from({ length: count }, (_, i) => aNode(`n${i}`)))
      for (const pod of pods) {
        const decision = run(pod, { ...cluster, nodes: snapshot.nodes })
        if (decision.type === 'node') snapshot.assume(pod, decision.node)
        else expect(decision.message).toMatch(new RegExp(`^0/${count} nodes are available: `))
      }
      for (const node of snapshot.nodes) {
        expect(node.requested.get('cpu') ?? 0).toBeLessThanOrEqual(4000)
        const ports = [...node.pods.values()].flatMap(hostPortsOf)
        expect(ports.some((a, i) => ports.some((b, j) => i < j && portsClash(a, b)))).toBe(false)
      }
    }),
  )
})

test('of many nodes a part is enough, and the next decision begins where the last one ended', () => {
  expect([50, 100, 150, 300, 500, 10_000].map(enoughNodes)).toEqual([50, 100, 100, 150, 200, 200])
  const { cluster } = world(Array.from({ length: 500 }, (_, index) => aNode(`n${index}`)))
  const taken = (start: number): number => {
    const decision = decide(aPod(), cluster, { plugins, random: seededRandom(1), start })
    if (decision.type !== 'node') throw new Error(decision.message)
    expect(decision.looked).toBe(200)
    return Number(decision.node.slice(1))
  }
  expect(taken(0)).toBeLessThan(200)
  expect(taken(200)).toBeGreaterThanOrEqual(200)
  expect(taken(200)).toBeLessThan(400)
})

test('the one node of many that a pod fits on is found, wherever the search begins', () => {
  const nodes = Array.from({ length: 300 }, (_, index) =>
    aNode(`n${index}`, index === 77 ? { metadata: { labels: { disk: 'ssd' } } } : {}),
  )
  const { cluster } = world(nodes)
  for (const start of [0, 77, 78, 299, 1000]) {
    const picky = aPod({ nodeSelector: { disk: 'ssd' } })
    expect(decide(picky, cluster, { plugins, random: seededRandom(1), start })).toMatchObject({ node: 'n77', looked: 300 })
  }
  const none = decide(aPod({ nodeSelector: { disk: 'none' } }), cluster, { plugins, random: seededRandom(1), start: 5 })
  expect(none).toMatchObject({ type: 'nowhere', message: expect.stringContaining('0/300 nodes are available: 300 ') })
})

test('a node that is cordoned, tainted or gives less takes no more pods, and does again when that is over', () => {
  const { snapshot, cluster } = world([aNode('a')])
  const asked = (node: Node): string => {
    snapshot.setNode(node)
    return why(asking({ cpu: '2' }), cluster)
  }
  const none = '0/1 nodes are available: 1'
  expect(asked(aNode('a', { spec: { unschedulable: true } }))).toBe(`${none} node(s) were unschedulable.`)
  expect(asked(aNode('a', tainted))).toBe(`${none} node(s) had untolerated taint {gpu: yes}.`)
  expect(asked(aNode('a', { status: { allocatable: { cpu: '1', memory: '8Gi', pods: '110' } } }))).toBe(
    `${none} Insufficient cpu.`,
  )
  expect(asked(aNode('a'))).toBe('node a')
})
