import { expect, test } from 'vitest'
import { type Part, pod } from '../testing/builders.ts'
import { cellsOf } from '../testing/written.ts'
import { Pod } from './pod.ts'
import type { ContainerState, ContainerStatus } from './pod-status.ts'

const now = Date.parse('2026-01-01T01:00:00Z')
const at = (minutesAgo: number) => new Date(now - minutesAgo * 60_000).toISOString()
const one = (state: ContainerState, more: Partial<ContainerStatus> = {}): ContainerStatus => ({
  name: 'c',
  state,
  ready: false,
  restartCount: 0,
  image: '',
  imageID: '',
  ...more,
})
const running = one({ running: { startedAt: at(5) } }, { ready: true, started: true })
const done = one({ terminated: { exitCode: 0, reason: 'Completed' } })
const container = (name: string) => ({ name, image: 'i' })
const two = { containers: [container('a'), container('b')] }
const inits = { initContainers: [container('i1'), container('i2')] }
const deleted = { deletionTimestamp: at(1) }
const initialized = { type: 'Initialized', status: 'True' } as const

test.each<[string, string, Part<Pod>]>([
  ['Pending', '0/1', {}],
  ['ContainerCreating', '0/1', { status: { containerStatuses: [one({ waiting: { reason: 'ContainerCreating' } })] } }],
  ['Running', '1/1', { status: { phase: 'Running', containerStatuses: [running] } }],
  ['Running', '1/2', { spec: two, status: { phase: 'Running', containerStatuses: [running, { ...running, ready: false }] } }],
  [
    'ImagePullBackOff',
    '1/2',
    { spec: two, status: { containerStatuses: [running, one({ waiting: { reason: 'ImagePullBackOff' } })] } },
  ],
  [
    'ErrImagePull',
    '0/2',
    { spec: two, status: { containerStatuses: ['ErrImagePull', 'Other'].map((reason) => one({ waiting: { reason } })) } },
  ],
  ['Completed', '0/1', { status: { phase: 'Succeeded', containerStatuses: [done] } }],
  ['Error', '0/1', { status: { phase: 'Failed', containerStatuses: [one({ terminated: { exitCode: 1, reason: 'Error' } })] } }],
  ['OOMKilled', '0/1', { status: { containerStatuses: [one({ terminated: { exitCode: 137, reason: 'OOMKilled' } })] } }],
  ['ExitCode:3', '0/1', { status: { containerStatuses: [one({ terminated: { exitCode: 3 } })] } }],
  ['Signal:9', '0/1', { status: { containerStatuses: [one({ terminated: { exitCode: 137, signal: 9 } })] } }],
  ['Evicted', '0/1', { status: { phase: 'Failed', reason: 'Evicted' } }],
  ['NotReady', '1/2', { spec: two, status: { phase: 'Running', containerStatuses: [done, running] } }],
  [
    'Running',
    '1/2',
    {
      spec: two,
      status: { phase: 'Running', containerStatuses: [done, running], conditions: [{ type: 'Ready', status: 'True' }] },
    },
  ],
  [
    'Init:0/2',
    '0/1',
    { spec: inits, status: { initContainerStatuses: [one({ running: {} }), one({ waiting: { reason: 'PodInitializing' } })] } },
  ],
  [
    'Init:1/2',
    '0/1',
    { spec: inits, status: { initContainerStatuses: [done, one({ waiting: { reason: 'PodInitializing' } })] } },
  ],
  [
    'Init:CrashLoopBackOff',
    '0/1',
    { spec: inits, status: { initContainerStatuses: [one({ waiting: { reason: 'CrashLoopBackOff' } })] } },
  ],
  [
    'Init:Error',
    '0/1',
    { spec: inits, status: { initContainerStatuses: [one({ terminated: { exitCode: 1, reason: 'Error' } })] } },
  ],
  ['Init:ExitCode:4', '0/1', { spec: inits, status: { initContainerStatuses: [one({ terminated: { exitCode: 4 } })] } }],
  [
    'Init:Signal:15',
    '0/1',
    { spec: inits, status: { initContainerStatuses: [one({ terminated: { exitCode: 143, signal: 15 } })] } },
  ],
  [
    'PodInitializing',
    '0/1',
    {
      spec: inits,
      status: { initContainerStatuses: [done, done], containerStatuses: [one({ waiting: { reason: 'PodInitializing' } })] },
    },
  ],
  // After a restart of the sandbox init containers may be gone from the engine; the condition still says that they have run.
  [
    'Running',
    '1/1',
    {
      spec: inits,
      status: {
        phase: 'Running',
        conditions: [initialized],
        initContainerStatuses: [one({ waiting: {} })],
        containerStatuses: [running],
      },
    },
  ],
  ['Terminating', '1/1', { metadata: deleted, status: { phase: 'Running', containerStatuses: [running] } }],
  ['Terminating', '0/1', { metadata: deleted, spec: inits, status: { initContainerStatuses: [one({ running: {} })] } }],
  ['Unknown', '0/1', { metadata: deleted, status: { phase: 'Running', reason: 'NodeLost' } }],
  ['Completed', '0/1', { metadata: deleted, status: { phase: 'Succeeded', containerStatuses: [done] } }],
])('STATUS %s, READY %s', (status, ready, part) => {
  expect(cellsOf(Pod, pod(part), now)).toMatchObject({ Status: status, Ready: ready })
})

const crashed = (restartCount: number, minutesAgo: number): ContainerStatus =>
  one({ running: {} }, { restartCount, lastState: { terminated: { exitCode: 1, finishedAt: at(minutesAgo) } } })

test.each<[string, Part<Pod>]>([
  ['0', {}],
  ['2', { status: { containerStatuses: [one({ running: {} }, { restartCount: 2 })] } }],
  ['3 (5m ago)', { status: { containerStatuses: [crashed(1, 90), crashed(2, 5)] } }],
  ['4 (30m ago)', { spec: inits, status: { initContainerStatuses: [crashed(4, 30)], containerStatuses: [crashed(9, 1)] } }],
  ['9 (60s ago)', { spec: inits, status: { initContainerStatuses: [done, done], containerStatuses: [crashed(9, 1)] } }],
])('RESTARTS %s', (restarts, part) => {
  expect(cellsOf(Pod, pod(part), now)['Restarts']).toBe(restarts)
})

test('the wide columns say where the pod is and which gates hold', () => {
  const placed = pod({
    spec: { nodeName: 'n1', readinessGates: [{ conditionType: 'a/b' }, { conditionType: 'c' }] },
    status: { podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }], conditions: [{ type: 'c', status: 'True' }] },
  })
  expect(cellsOf(Pod, placed, now, { wide: true })).toMatchObject({
    IP: '10.0.0.1',
    Node: 'n1',
    'Nominated Node': '<none>',
    'Readiness Gates': '1/2',
    Age: '60m',
  })
  expect(cellsOf(Pod, pod(), now, { wide: true })).toMatchObject({ IP: '<none>', Node: '<none>', 'Readiness Gates': '<none>' })
})
