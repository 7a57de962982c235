import { expect, test } from 'vitest'
import type { Pod } from '../../api/kinds/pod.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { NodeView, type Wanted } from './node-view.ts'

const pod = (uid: string, version: string, over: Partial<Pod> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { uid, name: uid, namespace: 'default', resourceVersion: version },
  spec: { containers: [{ name: 'c', image: 'i', envFrom: [{ configMapRef: { name: 'settings' } }] }] },
  ...over,
})
const settings = (version: string): ApiObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { uid: 'u', resourceVersion: version },
})
const wanted = (pods: readonly Pod[], config?: ApiObject, dismissed: readonly string[] = []): Wanted => ({
  pods,
  config: (key) => (key === 'configmap/default/settings' ? config : undefined),
  revision: 7,
  dismissed: new Set(dismissed),
})
const uids = (set: { pods: readonly { uid: string }[] } | undefined): readonly string[] | undefined =>
  set?.pods.map(({ uid }) => uid)

test('a complete set comes first, also when it is empty; then only what has changed', () => {
  const view = new NodeView('v')
  const first = view.next(wanted([]))
  expect(first).toMatchObject({ complete: true, appliesTo: '', resultsIn: 'v.1', pods: [], revision: 7n })
  view.applied('v.1')
  expect(view.next(wanted([]))).toBeUndefined()
  const second = view.next(wanted([pod('a', '1')], settings('1')))
  expect(second).toMatchObject({
    complete: false,
    appliesTo: 'v.1',
    resultsIn: 'v.2',
    configs: [{ key: 'configmap/default/settings' }],
  })
  expect(uids(second)).toEqual(['a'])
})

test('nothing more is sent while a set is under way; what came meanwhile is one set', () => {
  const view = new NodeView('v')
  view.next(wanted([pod('a', '1')]))
  expect(view.next(wanted([pod('a', '1'), pod('b', '2')]))).toBeUndefined()
  view.applied('another')
  expect(view.next(wanted([pod('b', '2')]))).toBeUndefined()
  view.applied('v.1')
  expect(view.next(wanted([pod('b', '2'), pod('c', '3')]))).toMatchObject({
    removedPods: ['a'],
    pods: [{ uid: 'b' }, { uid: 'c' }],
  })
})

test('the agent’s own status does not come back to it; a deletion does', () => {
  const view = new NodeView('v')
  view.next(wanted([pod('a', '1')]))
  view.applied('v.1')
  expect(view.next(wanted([pod('a', '2', { status: { phase: 'Running' } })]))).toBeUndefined()
  const deleted = pod('a', '3')
  const ending = { ...deleted, metadata: { ...deleted.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }
  expect(uids(view.next(wanted([ending])))).toEqual(['a'])
})

test('a changed, a vanished and a reappearing config are told', () => {
  const view = new NodeView('v')
  const pods = [pod('a', '1')]
  view.next(wanted(pods, settings('1')))
  view.applied('v.1')
  expect(view.next(wanted(pods, settings('2')))).toMatchObject({ pods: [], configs: [{ key: 'configmap/default/settings' }] })
  view.applied('v.2')
  expect(view.next(wanted(pods))).toMatchObject({ removedConfigs: ['configmap/default/settings'] })
  view.applied('v.3')
  expect(view.next(wanted(pods, settings('3')))).toMatchObject({ configs: [{ key: 'configmap/default/settings' }] })
})

test.each([
  ['the last result', 'v.1', false],
  ['a set whose acknowledgement was lost', 'v.2', false],
  ['nothing', '', true],
  ['another gateway’s result', 'w.1', true],
])('an agent that resumes from %s gets what it needs', (_what, resultsIn, isComplete) => {
  const view = new NodeView('v')
  view.next(wanted([pod('a', '1')]))
  view.applied('v.1')
  view.next(wanted([pod('a', '1'), pod('b', '2')]))
  view.resume(resultsIn)
  const next = view.next(wanted([pod('a', '1'), pod('b', '2'), pod('c', '3')]))
  expect(next?.complete).toBe(isComplete)
  if (!isComplete) expect(next?.appliesTo).toBe(resultsIn)
  expect(uids(next)).toEqual(isComplete ? ['a', 'b', 'c'] : resultsIn === 'v.1' ? ['b', 'c'] : ['c'])
})

test('a pod that is dismissed is removed once, after a complete set, and not while the API lists it', () => {
  const view = new NodeView('v')
  expect(view.next(wanted([pod('a', '1')], undefined, ['a', 'x']))).toMatchObject({ complete: true, removedPods: [] })
  view.applied('v.1')
  expect(view.next(wanted([pod('a', '1')], undefined, ['a', 'x']))).toMatchObject({ complete: false, removedPods: ['x'] })
  view.applied('v.2')
  expect(view.next(wanted([pod('a', '1')], undefined, ['a', 'x']))).toBeUndefined()
  expect(view.next(wanted([], undefined, ['a', 'x']))).toMatchObject({ removedPods: ['a'] })
})

test('a pod that is another node’s is withdrawn with the next increment, not with a complete set, and once', () => {
  const view = new NodeView('v')
  view.withdraw('elsewhere')
  expect(view.next(wanted([pod('a', '1')]))).toMatchObject({ complete: true, removedPods: [] })
  view.applied('v.1')
  expect(view.next(wanted([pod('a', '1')]))).toMatchObject({ complete: false, removedPods: ['elsewhere'], pods: [] })
  view.applied('v.2')
  expect(view.next(wanted([pod('a', '1')]))).toBeUndefined()
  // It is this node's by now.
  view.withdraw('a')
  expect(view.next(wanted([pod('a', '1')]))).toBeUndefined()
})
