import { expect, test } from 'vitest'
import type { ApiObject } from '../../../api/meta/object-meta.ts'
import { type Collection, type OwnerState, planCollection } from './plan.ts'

const objectOf = (finalizers: readonly string[] = [], isLeaving = false): ApiObject => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: {
    name: 'a',
    namespace: 'x',
    uid: 'a',
    finalizers,
    ...(isLeaving ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
  },
})

const dependent = (isBlocking: boolean, isLeaving: boolean): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'd',
    namespace: 'x',
    uid: 'd',
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'a', uid: 'a', blockOwnerDeletion: isBlocking }],
    ...(isLeaving ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
  },
})

const ownerOf = (state: OwnerState, index: number) => ({
  state,
  ref: { apiVersion: 'v1', kind: 'ConfigMap', name: `o${index}`, uid: `o${index}`, blockOwnerDeletion: true },
})

test.each<[readonly OwnerState[], Collection]>([
  [[], { do: 'nothing' }],
  [['solid'], { do: 'nothing' }],
  [['absent'], { do: 'delete', policy: 'Background' }],
  [['absent', 'absent'], { do: 'delete', policy: 'Background' }],
  [['solid', 'absent'], { do: 'drop references', uids: ['o1'] }],
  [['solid', 'waiting'], { do: 'drop references', uids: ['o1'] }],
  [['waiting', 'absent'], { do: 'delete', policy: 'Background' }],
])('owners %j: %j', (states, expected) => {
  expect(planCollection(objectOf(), states.map(ownerOf), () => [])).toEqual(expected)
})

test('what an owner waits for goes after its own dependents', () => {
  expect(planCollection(objectOf(), [ownerOf('waiting', 0)], () => [dependent(true, false)])).toEqual({
    do: 'delete',
    policy: 'Foreground',
  })
})

test.each<[string, readonly string[], readonly ApiObject[], Collection['do']]>([
  ['foreground, dependents not asked yet', ['foregroundDeletion'], [dependent(true, false)], 'delete dependents'],
  ['foreground, dependents going', ['foregroundDeletion'], [dependent(true, true)], 'nothing'],
  ['foreground, only such that do not block', ['foregroundDeletion'], [dependent(false, true)], 'remove finalizer'],
  ['foreground, nothing left', ['foregroundDeletion'], [], 'remove finalizer'],
  ['orphan, dependents still refer to it', ['orphan'], [dependent(true, false)], 'orphan dependents'],
  ['orphan, nobody refers to it', ['orphan'], [], 'remove finalizer'],
  ['a finalizer of somebody else', ['example.com/x'], [dependent(true, false)], 'nothing'],
])('an object that is being deleted: %s', (_case, finalizers, dependents, expected) => {
  expect(planCollection(objectOf(finalizers, true), [], () => dependents).do).toBe(expected)
})

/** `uid` is being deleted in the foreground, and is owned by `owners`. */
const waiting = (uid: string, owners: readonly string[], finalizers: readonly string[] = ['foregroundDeletion']): ApiObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name: uid,
    namespace: 'x',
    uid,
    finalizers,
    deletionTimestamp: '2026-01-01T00:00:00Z',
    ownerReferences: owners.map((owner) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: owner,
      uid: owner,
      blockOwnerDeletion: true,
    })),
  },
})

test.each<[string, readonly ApiObject[], Collection['do']]>([
  ['an object that owns itself', [waiting('a', ['a'])], 'remove finalizer'],
  ['two that own each other', [waiting('a', ['b']), waiting('b', ['a'])], 'remove finalizer'],
  ['a ring of three', [waiting('a', ['c']), waiting('b', ['a']), waiting('c', ['b'])], 'remove finalizer'],
  ['a ring that a is not part of', [waiting('a', []), waiting('b', ['a', 'c']), waiting('c', ['b'])], 'nothing'],
  [
    'a ring and something else that is going',
    [waiting('a', ['b']), waiting('b', ['a']), waiting('c', ['a'], ['x/y'])],
    'nothing',
  ],
])('foreground deletion: %s', (_case, objects, expected) => {
  const dependentsOf = ({ metadata }: ApiObject) =>
    objects.filter((one) => one.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid))
  expect(planCollection(objects[0] ?? objectOf(), [], dependentsOf).do).toBe(expected)
})
