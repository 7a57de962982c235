import { expect, test } from 'vitest'
import { systemClock } from '../../lib/clock.ts'
import { createRunCommand } from './command.ts'
import { architectureOf, type HostFacts, osImage, parseMemTotal, readHostFacts } from './facts.ts'
import { type NodeInput, nodeConditions, nodeObject } from './node-object.ts'

const facts: HostFacts = {
  name: 'n1',
  ip: '192.0.2.7',
  cpuMilli: 2_000,
  memoryBytes: 4 * 1024 ** 3,
  hostname: 'machine',
  machineId: 'm',
  systemUuid: 's',
  bootId: 'b',
  kernelVersion: '6.1',
  osImage: 'Debian GNU/Linux 12 (bookworm)',
  architecture: 'amd64',
  storageBytes: 1024 ** 4,
}
const nowMs = Date.UTC(2026, 0, 1)
function input(more: Partial<NodeInput> = {}): NodeInput {
  return {
    facts,
    engine: undefined,
    engineError: undefined,
    networkError: undefined,
    diskError: undefined,
    images: [],
    unlistedPods: [],
    agentVersion: 'v0.1.0',
    maxPods: 110,
    missingCapabilities: [],
    labels: {},
    nowMs,
    before: [],
    ...more,
  }
}
const condition = (of: NodeInput, type: string) => nodeConditions(of).find((one) => one.type === type)

test('a node says what it is and what it has', () => {
  const node = nodeObject(input({ labels: { 'topology.kubernetes.io/zone': 'a' } }))
  expect(node.metadata.labels).toEqual({
    'kubernetes.io/hostname': 'n1',
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': 'amd64',
    'topology.kubernetes.io/zone': 'a',
  })
  expect(node.status?.capacity).toEqual({ cpu: '2', memory: '4194304Ki', pods: '110', 'ephemeral-storage': '1073741824Ki' })
  expect(node.status?.allocatable).toMatchObject({ cpu: '2', memory: '4091904Ki' })
  expect(node.status?.addresses?.map(({ address }) => address)).toEqual(['192.0.2.7', 'machine'])
})

test('an engine that does not answer makes the node not ready, and says why', () => {
  expect(condition(input(), 'Ready')).toMatchObject({ status: 'True' })
  expect(condition(input({ engineError: 'no answer' }), 'Ready')).toMatchObject({ status: 'False', message: 'no answer' })
  expect(condition(input({ networkError: 'no bridge' }), 'NetworkUnavailable')).toMatchObject({ status: 'True' })
})

test('a disk that is nearly full is a condition, and leaves the node ready', () => {
  expect(condition(input(), 'DiskPressure')).toMatchObject({ status: 'False' })
  const full = input({ diskError: 'no room at /x' })
  expect(condition(full, 'DiskPressure')).toMatchObject({ status: 'True', message: 'no room at /x' })
  expect(condition(full, 'Ready')).toMatchObject({ status: 'True' })
})

test('a condition keeps its time of change while it stays the same', () => {
  const before = nodeConditions(input())
  const later = { nowMs: nowMs + 60_000, before }
  expect(condition(input(later), 'Ready')).toMatchObject({
    lastTransitionTime: '2026-01-01T00:00:00Z',
    lastHeartbeatTime: '2026-01-01T00:01:00Z',
  })
  expect(condition(input({ ...later, engineError: 'x' }), 'Ready')?.lastTransitionTime).toBe('2026-01-01T00:01:00Z')
})

test('what the machine cannot give is a condition of the node', () => {
  expect(condition(input(), 'PrivilegesLimited')).toBeUndefined()
  expect(condition(input({ missingCapabilities: ['SYS_RESOURCE'] }), 'PrivilegesLimited')?.message).toContain('CAP_SYS_RESOURCE')
})

test('pods that the API does not list are a condition of the node', () => {
  expect(condition(input(), 'UnlistedPods')).toMatchObject({ status: 'False' })
  const unlistedPods = [{ namespace: 'shop', name: 'web', uid: 'u-1' }]
  expect(condition(input({ unlistedPods }), 'UnlistedPods')).toMatchObject({
    status: 'True',
    message: expect.stringContaining('shop/web (u-1)'),
  })
})

test('the largest fifty images are named', () => {
  const images = Array.from({ length: 60 }, (_, index) => ({
    id: `${index}`,
    tags: [`i:${index}`],
    digests: [],
    sizeBytes: index,
    ...{ user: '', entrypoint: [], command: [], variables: [] },
  }))
  const named = nodeObject(
    input({
      images: [
        ...images,
        { id: 'x', tags: [], digests: [], sizeBytes: 999, user: '', entrypoint: [], command: [], variables: [] },
      ],
    }),
  ).status?.images
  expect(named).toHaveLength(50)
  expect(named?.[0]).toEqual({ names: ['i:59'], sizeBytes: 59 })
})

test('facts are read from files of the machine', () => {
  expect(parseMemTotal('MemTotal:       24684084 kB\nMemFree: 1 kB')).toBe(24_684_084 * 1024)
  expect(osImage('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"')).toBe('Debian GNU/Linux 12 (bookworm)')
  expect([architectureOf('x64'), architectureOf('arm64')]).toEqual(['amd64', 'arm64'])
})

test('this machine has facts', async () => {
  const run = createRunCommand({ clock: systemClock })
  const found = await readHostFacts({ name: 'n1', ip: '', storageFolder: '/', run }, { signal: new AbortController().signal })
  expect(found.ip).toMatch(/^\d+\.\d+\.\d+\.\d+$/)
  expect(found.cpuMilli).toBeGreaterThan(0)
  expect(found.memoryBytes).toBeGreaterThan(0)
  expect(found.storageBytes).toBeGreaterThan(0)
})
