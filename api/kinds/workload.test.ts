import { expect, test } from 'vitest'
import { deployment, type Part, replicaSet } from '../testing/builders.ts'
import { cellsOf, created, defaulted, wrongIn, wrongInUpdate } from '../testing/written.ts'
import { Deployment } from './deployment.ts'
import { ReplicaSet } from './replica-set.ts'

const now = Date.parse('2026-01-01T01:00:00Z')
const rolling = (rollingUpdate: Readonly<Record<string, number | string>>): Part<Deployment> => ({
  spec: { strategy: { type: 'RollingUpdate', rollingUpdate } },
})
const unavailable = 'spec.strategy.rollingUpdate.maxUnavailable Invalid'
const pods = (spec: Readonly<Record<string, unknown>>): Part<Deployment> => ({ spec: { template: { spec } } })

test.each<[string, Part<Deployment>]>([
  ['spec.replicas Invalid', { spec: { replicas: -1 } }],
  ['spec.minReadySeconds Invalid', { spec: { minReadySeconds: -1 } }],
  ['spec.revisionHistoryLimit Invalid', { spec: { revisionHistoryLimit: -1 } }],
  ['spec.progressDeadlineSeconds Invalid', { spec: { progressDeadlineSeconds: 10, minReadySeconds: 10 } }],
  ['spec.selector Invalid', { spec: { selector: { matchLabels: undefined } } }],
  ['spec.template.metadata.labels Invalid', { spec: { selector: { matchLabels: { app: 'other' } } } }],
  ['spec.template.metadata.labels Invalid', { spec: { template: { metadata: undefined } } }],
  [
    'spec.selector.matchExpressions[0].values Required',
    { spec: { selector: { matchExpressions: [{ key: 'app', operator: 'In' }] } } },
  ],
  ['spec.template.spec.restartPolicy NotSupported', pods({ restartPolicy: 'Never' })],
  ['spec.template.spec.activeDeadlineSeconds Forbidden', pods({ activeDeadlineSeconds: 5 })],
  ['spec.template.spec.containers Required', pods({ containers: [] })],
  ['spec.strategy.rollingUpdate Forbidden', { spec: { strategy: { type: 'Recreate', rollingUpdate: {} } } }],
  [unavailable, rolling({ maxUnavailable: 0, maxSurge: 0 })],
  [unavailable, rolling({ maxUnavailable: '0%', maxSurge: '00%' })],
  [unavailable, rolling({ maxUnavailable: '101%' })],
  [unavailable, rolling({ maxUnavailable: 'many' })],
  [unavailable, rolling({ maxUnavailable: -1 })],
  ['spec.strategy.rollingUpdate.maxSurge Invalid', rolling({ maxSurge: '5' })],
  ['metadata.name Invalid', { metadata: { name: 'Upper' } }],
  ['metadata.labels Invalid', { metadata: { labels: { a: 'not a value' } } }],
  ['metadata.finalizers Invalid', { metadata: { finalizers: ['nobody'] } }],
])('a Deployment is refused: %s', (wrong, part) => {
  expect(wrongIn(Deployment, deployment(part))).toContain(wrong)
})

test.each<[string, Part<Deployment>]>([
  ['more than all at once', rolling({ maxSurge: '200%', maxUnavailable: 0 })],
  ['numbers', rolling({ maxSurge: 3, maxUnavailable: 2 })],
  ['Recreate', { spec: { strategy: { type: 'Recreate' } } }],
  ['no replicas', { spec: { replicas: 0 } }],
])('a Deployment is taken: %s', (_what, part) => {
  expect(wrongIn(Deployment, deployment(part))).toEqual([])
})

test('only the missing half of rollingUpdate is filled in', () => {
  expect(defaulted(Deployment, deployment(rolling({ maxSurge: 1 }))).spec.strategy?.rollingUpdate).toEqual({
    maxSurge: 1,
    maxUnavailable: '25%',
  })
  expect(defaulted(Deployment, deployment({ spec: { strategy: { type: 'Recreate' } } })).spec.strategy).toEqual({
    type: 'Recreate',
  })
})

test('the selector cannot be changed', () => {
  const labels = { app: 'other' }
  const changed = deployment({ spec: { selector: { matchLabels: labels }, template: { metadata: { labels } } } })
  expect(wrongInUpdate(Deployment, changed, deployment())).toEqual(['spec.selector Invalid'])
  expect(wrongInUpdate(Deployment, deployment({ spec: { replicas: 5 } }), deployment())).toEqual([])
  const other = replicaSet({ spec: { selector: { matchLabels: labels }, template: { metadata: { labels } } } })
  expect(wrongInUpdate(ReplicaSet, other, replicaSet())).toEqual(['spec.selector Invalid'])
})

test('scaling reads and writes the replicas and says how to find the pods', () => {
  const { scale } = Deployment.strategy
  const object = deployment({ spec: { replicas: 2 }, status: { replicas: 3 } })
  expect(scale?.getReplicas(object)).toBe(2)
  expect(scale?.setReplicas(object, 5)).toEqual(deployment({ spec: { replicas: 5 }, status: { replicas: 3 } }))
  expect(scale?.observed(object)).toEqual({ replicas: 3, selector: 'app=web' })
})

test('a new ReplicaSet has a status that says zero, a new Deployment none', () => {
  expect(created(ReplicaSet, replicaSet({ status: { replicas: 7 } })).status).toEqual({ replicas: 0 })
  expect(created(Deployment, deployment({ status: { replicas: 7 } })).status).toBeUndefined()
})

test('what is printed of a Deployment', () => {
  const object = deployment({ spec: { replicas: 3 }, status: { readyReplicas: 2, updatedReplicas: 1, availableReplicas: 2 } })
  expect(cellsOf(Deployment, object, now, { wide: true })).toEqual({
    Name: 'web',
    Ready: '2/3',
    'Up-to-date': 1,
    Available: 2,
    Age: '60m',
    Containers: 'web',
    Images: 'web:1',
    Selector: 'app=web',
  })
})

test('what is printed of a ReplicaSet', () => {
  const object = replicaSet({ spec: { replicas: 3 }, status: { replicas: 2, readyReplicas: 1 } })
  expect(cellsOf(ReplicaSet, object, now)).toEqual({ Name: 'web-1', Desired: 3, Current: 2, Ready: 1, Age: '60m' })
})
