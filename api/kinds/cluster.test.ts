import { expect, test } from 'vitest'
import { event, lease, namespace, node, type Part, pod, serviceAccount } from '../testing/builders.ts'
import { cellsOf, created, defaulted, wrongIn, wrongInUpdate } from '../testing/written.ts'
import { Event } from './event.ts'
import { Lease } from './lease.ts'
import { Namespace } from './namespace.ts'
import { Node } from './node.ts'
import { Pod } from './pod.ts'
import { ServiceAccount } from './service-account.ts'

const now = Date.parse('2026-01-01T01:00:00Z')
const ago = (seconds: number) => new Date(now - seconds * 1000).toISOString()

test('a new Namespace is active, has its finalizer and a label with its name', () => {
  expect(created(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } })).toEqual({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'a', labels: { 'kubernetes.io/metadata.name': 'a' } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  })
})

test('an update through the main resource takes no finalizer off a Namespace', () => {
  const update = namespace({ spec: { finalizers: [] }, status: { phase: 'Terminating' } })
  expect(Namespace.strategy.prepareForUpdate?.(update, namespace())).toMatchObject({
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  })
})

test('the name of a Namespace is one DNS label', () => {
  expect(wrongIn(Namespace, namespace({ metadata: { name: 'a.b' } }))).toEqual(['metadata.name Invalid'])
  expect(wrongIn(ServiceAccount, serviceAccount({ metadata: { name: 'a.b' } }))).toEqual([])
})

test.each<[string, Part<Node>]>([
  ['Ready', {}],
  ['Ready,SchedulingDisabled', { spec: { unschedulable: true } }],
  ['NotReady', { status: { conditions: [{ type: 'Ready', status: 'False' }] } }],
  ['NotReady', { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } }],
  ['Unknown', { status: { conditions: [] } }],
])('STATUS of a Node: %s', (status, part) => {
  expect(cellsOf(Node, node(part), now)['Status']).toBe(status)
})

test('what is printed of a Node', () => {
  const labels = { 'node-role.kubernetes.io/worker': '', 'node-role.kubernetes.io/control-plane': '' }
  const info = {
    kubeletVersion: 'v1.32.0',
    osImage: 'Debian 12',
    kernelVersion: '6.1',
    containerRuntimeVersion: 'docker://20.10',
  }
  const empty = { machineID: '', systemUUID: '', bootID: '', kubeProxyVersion: '', operatingSystem: '', architecture: '' }
  expect(cellsOf(Node, node({ metadata: { labels }, status: { nodeInfo: { ...empty, ...info } } }), now, { wide: true })).toEqual(
    {
      Name: 'node-1',
      Status: 'Ready',
      Roles: 'control-plane,worker',
      Age: '60m',
      Version: 'v1.32.0',
      'Internal-IP': '192.0.2.1',
      'External-IP': '<none>',
      'OS-Image': 'Debian 12',
      'Kernel-Version': '6.1',
      'Container-Runtime': 'docker://20.10',
    },
  )
  expect(cellsOf(Node, node(), now)['Roles']).toBe('<none>')
})

const taint = { key: 'a', effect: 'NoSchedule' } as const
test.each<[string, Part<Node>]>([
  ['spec.taints[1] Duplicate', { spec: { taints: [taint, { ...taint, value: 'x' }] } }],
  ['spec.taints[0].key Invalid', { spec: { taints: [{ ...taint, key: 'a b' }] } }],
  ['spec.taints[0].value Invalid', { spec: { taints: [{ ...taint, value: 'a b' }] } }],
  ['spec.podCIDRs[0] Invalid', { spec: { podCIDR: '10.0.0.1', podCIDRs: ['10.0.0.1'] } }],
  ['spec.podCIDRs[0] Invalid', { spec: { podCIDR: '10.9.0.0/24' } }],
])('a Node is refused: %s', (wrong, part) => {
  expect(wrongIn(Node, node(part))).toEqual([wrong])
})

test('the same taint with two effects is taken', () => {
  expect(wrongIn(Node, node({ spec: { taints: [taint, { ...taint, effect: 'NoExecute' }] } }))).toEqual([])
})

test('podCIDR and podCIDRs are kept equal, and stay once they are set', () => {
  const bare = node({ spec: { podCIDR: undefined, podCIDRs: undefined } })
  expect(defaulted(Node, node({ spec: { podCIDR: '10.9.0.0/24', podCIDRs: undefined } })).spec?.podCIDRs).toEqual(['10.9.0.0/24'])
  expect(wrongInUpdate(Node, node(), bare)).toEqual([])
  expect(wrongInUpdate(Node, node({ spec: { podCIDR: '10.9.0.0/24', podCIDRs: ['10.9.0.0/24'] } }), node())).toEqual([
    'spec.podCIDRs Invalid',
  ])
})

test('a Node reports only amounts', () => {
  const reported = node({ status: { capacity: { cpu: 'four' }, allocatable: { memory: '-1' } } })
  const fields = Node.strategy.validateStatusUpdate?.(reported, node()).map(({ field }) => field)
  expect(fields).toEqual(['status.capacity[cpu]', 'status.allocatable[memory]'])
})

test.each<[string, Part<Event>]>([
  ['5m', { lastTimestamp: ago(300), firstTimestamp: ago(900) }],
  ['15m', { firstTimestamp: ago(900) }],
  ['10s', { eventTime: ago(600), series: { count: 3, lastObservedTime: ago(10) } }],
  ['10m', { eventTime: ago(600) }],
  ['<unknown>', {}],
])('LAST SEEN of an Event: %s', (seen, part) => {
  expect(cellsOf(Event, event(part), now)['Last Seen']).toBe(seen)
})

test('what is printed of an Event', () => {
  const part = {
    source: { component: 'agent', host: 'n1' },
    message: 'pulled\n',
    involvedObject: { fieldPath: 'spec.containers{web}' },
    firstTimestamp: ago(60),
  }
  expect(cellsOf(Event, event(part), now, { wide: true })).toEqual({
    'Last Seen': '60s',
    Type: 'Normal',
    Reason: 'Started',
    Object: 'pod/web',
    Subobject: 'spec.containers{web}',
    Source: 'agent, n1',
    Message: 'pulled',
    'First Seen': '60s',
    Count: 1,
    Name: 'web.1',
  })
})

test.each<[string, Part<Event>]>([
  ['involvedObject.namespace Invalid', { involvedObject: { namespace: 'other' } }],
  ['message TooLong', { message: 'x'.repeat(1025) }],
  ['reason TooLong', { reason: 'x'.repeat(129) }],
])('an Event is refused: %s', (wrong, part) => {
  expect(wrongIn(Event, event(part))).toEqual([wrong])
})

test('an Event about a Node is kept in the namespace default', () => {
  const about = { involvedObject: { kind: 'Node', name: 'n1', namespace: undefined } }
  expect(wrongIn(Event, event(about))).toEqual([])
  expect(wrongIn(Event, event(about, { metadata: { namespace: 'other' } }))).toEqual(['involvedObject.namespace Invalid'])
})

test('a Lease has a holder for a positive time', () => {
  expect(cellsOf(Lease, lease(), now)).toEqual({ Name: 'node-1', Holder: 'node-1', Age: '60m' })
  expect(wrongIn(Lease, lease({ spec: { leaseDurationSeconds: 0, leaseTransitions: -1 } }))).toEqual([
    'spec.leaseDurationSeconds Invalid',
    'spec.leaseTransitions Invalid',
  ])
})

test('fields that can be selected read as text, whether they are set or not', () => {
  const read = (name: string, object: Pod) => Pod.strategy.selectableFields?.[name]?.(object)
  expect(read('spec.nodeName', pod({ spec: { nodeName: 'n' } }))).toBe('n')
  expect(read('spec.nodeName', pod())).toBe('')
  expect(read('status.phase', pod())).toBe('Pending')
  expect(Node.strategy.selectableFields?.['spec.unschedulable']?.(node())).toBe('false')
  expect(Namespace.strategy.selectableFields?.['status.phase']?.(namespace())).toBe('Active')
  expect(Event.strategy.selectableFields?.['involvedObject.name']?.(event())).toBe('web')
  expect(Event.strategy.selectableFields?.['source']?.(event({ reportingComponent: 'agent' }))).toBe('agent')
})
