import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Pod } from '../../../api/kinds/pod.ts'
import type { ReplicaSet } from '../../../api/kinds/replica-set.ts'
import { batchSizes, burst, planReplicaSet, withFailure } from './plan.ts'
import { pickVictims } from './victims.ts'

const nowMs = Date.UTC(2026, 0, 1)
const at = (secondsAgo: number): string => new Date(nowMs - secondsAgo * 1000).toISOString()

interface Shape {
  readonly node?: string
  readonly phase?: 'Pending' | 'Running' | 'Unknown' | 'Succeeded' | 'Failed'
  readonly readyFor?: number
  readonly cost?: string
  readonly restarts?: number
  readonly age?: number
  readonly isLeaving?: boolean
}

function podOf(name: string, shape: Shape = {}): Pod {
  const { node = 'n1', phase = 'Running', readyFor, cost, restarts = 0, age = 100, isLeaving = false } = shape
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      uid: name,
      creationTimestamp: at(age),
      labels: { app: 'web' },
      ...(cost === undefined ? {} : { annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } }),
      ...(isLeaving ? { deletionTimestamp: at(0) } : {}),
    },
    spec: { nodeName: node, containers: [] },
    status: {
      phase,
      conditions: readyFor === undefined ? [] : [{ type: 'Ready', status: 'True', lastTransitionTime: at(readyFor) }],
      containerStatuses: [{ name: 'c', restartCount: restarts }],
    },
  } as unknown as Pod
}

const setOf = (replicas: number, minReadySeconds = 0): ReplicaSet =>
  ({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'web', namespace: 'x', uid: 's', generation: 2 },
    spec: {
      replicas,
      minReadySeconds,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } } },
    },
  }) as unknown as ReplicaSet

const plan = (replicaSet: ReplicaSet, pods: readonly Pod[]) => planReplicaSet({ replicaSet, pods, related: pods, nowMs })

test.each<[string, Shape, Shape]>([
  ['unassigned before assigned', { node: '', phase: 'Pending' }, { phase: 'Pending' }],
  ['pending before running', { phase: 'Pending' }, { phase: 'Running' }],
  ['unknown before running', { phase: 'Unknown' }, { phase: 'Running' }],
  ['not ready before ready', {}, { readyFor: 5 }],
  ['cheap before dear', { readyFor: 50, cost: '-1' }, { readyFor: 5, cost: '10' }],
  ['ready for the shorter time first', { readyFor: 5 }, { readyFor: 50 }],
  ['more restarts first', { readyFor: 5, restarts: 3 }, { readyFor: 5, restarts: 1 }],
  ['younger first', { readyFor: 5, age: 10 }, { readyFor: 5, age: 90 }],
])('of two pods goes: %s', (_rule, first, second) => {
  const [one, two] = [podOf('one', first), podOf('two', second)]
  expect(pickVictims([two, one], 1)).toEqual([one])
  expect(pickVictims([one, two], 1)).toEqual([one])
})

test('of equally good pods the one goes whose node has another, counting those of sibling sets', () => {
  const [a, b] = [podOf('a', { node: 'n1', readyFor: 5 }), podOf('b', { node: 'n2', readyFor: 50 })]
  const sibling = podOf('c', { node: 'n2', readyFor: 5 })
  expect(pickVictims([a, b], 1, [a, b, sibling])).toEqual([b])
})

test('a deletion cost that is no number counts as none', () => {
  const [a, b] = [podOf('a', { readyFor: 50, cost: '-1e9' }), podOf('b', { readyFor: 5 })]
  expect(pickVictims([a, b], 1)).toEqual([b])
})

test('carrying a plan out gives the number that is wanted, or as near as one burst gets', () => {
  const shape = fc.record({
    phase: fc.constantFrom('Pending' as const, 'Running' as const, 'Succeeded' as const, 'Failed' as const),
    isLeaving: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.nat(40), fc.array(shape, { maxLength: 30 }), (replicas, shapes) => {
      const pods = shapes.map((one, index) => podOf(`p${index}`, one))
      const { create, delete: victims } = plan(setOf(replicas), pods)
      const active = pods.filter(
        (pod) => ['Pending', 'Running'].includes(pod.status?.phase ?? '') && pod.metadata.deletionTimestamp === undefined,
      )
      expect(active.length + create - victims.length).toBe(replicas)
      expect(Math.min(create, victims.length)).toBe(0)
      for (const victim of victims) expect(active).toContain(victim)
    }),
  )
  expect(plan(setOf(100_000), []).create).toBe(burst)
})

test('a pod is available when it has been ready for long enough, and the plan says when the next one will be', () => {
  const pods = [podOf('a', { readyFor: 40 }), podOf('b', { readyFor: 10 }), podOf('c')]
  const { status, againMs } = plan(setOf(3, 30), pods)
  expect(status).toMatchObject({
    replicas: 3,
    readyReplicas: 2,
    availableReplicas: 1,
    fullyLabeledReplicas: 3,
    observedGeneration: 2,
  })
  expect(againMs).toBe(20_000)
})

test('a set that is being deleted neither makes nor deletes pods', () => {
  const set = setOf(3)
  const leaving = { ...set, metadata: { ...set.metadata, deletionTimestamp: at(0) } }
  expect(plan(leaving, [])).toMatchObject({ create: 0, delete: [] })
  expect(
    plan(
      leaving,
      ['a', 'b', 'c', 'd'].map((name) => podOf(name)),
    ),
  ).toMatchObject({ create: 0, delete: [] })
})

test('a failure becomes a condition that keeps its time, and goes when it is over', () => {
  const failed = withFailure({ replicas: 0 }, { reason: 'FailedCreate', message: 'quota' }, nowMs)
  const later = withFailure(failed, { reason: 'FailedCreate', message: 'quota again' }, nowMs + 60_000)
  expect(later.conditions).toEqual([
    {
      type: 'ReplicaFailure',
      status: 'True',
      reason: 'FailedCreate',
      message: 'quota again',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    },
  ])
  expect(withFailure(later, undefined, nowMs)).toEqual({ replicas: 0 })
})

test('batches double, and add up', () => {
  expect(batchSizes(10)).toEqual([1, 2, 4, 3])
  expect(batchSizes(0)).toEqual([])
})
