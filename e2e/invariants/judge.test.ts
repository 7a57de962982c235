import { expect, test } from 'vitest'
import { duplicates, type Look, lost, orphans, restarted, type SeenContainer, type SeenPod, unsettled } from './judge.ts'

const container = (more: Partial<SeenContainer> = {}): SeenContainer => ({
  id: 'c1',
  podUid: 'u1',
  pod: 'default/a',
  container: 'web',
  state: 'running',
  ip: undefined,
  startedAt: 'noon',
  ...more,
})
const sandbox = (more: Partial<SeenContainer> = {}): SeenContainer =>
  container({ id: 's1', container: 'POD', ip: '10.42.0.2', ...more })
const pod = (more: Partial<SeenPod> = {}): SeenPod => ({
  uid: 'u1',
  key: 'default/a',
  owner: undefined,
  isDeleted: false,
  hasEnded: false,
  isReady: true,
  containers: ['web'],
  ...more,
})
const look = (more: Partial<Look> = {}): Look => ({
  atMs: 0,
  containers: [sandbox(), container()],
  pods: [pod()],
  sets: [],
  sickNodes: [],
  ...more,
})
const never = (): boolean => false
const good = look()

test('nothing is wrong with a cluster that is as it should be', () => {
  expect(unsettled(good, good, never)).toEqual([])
  expect(restarted(good, good, never)).toEqual([])
})

test('two running containers of one name, and two pods with one address, are duplicates; a dead one is none', () => {
  const dead = container({ id: 'c0', state: 'exited' })
  expect(duplicates(look({ containers: [sandbox(), container(), dead] }))).toEqual([])
  expect(duplicates(look({ containers: [sandbox(), container(), { ...dead, state: 'paused' }] }))).toEqual([
    'default/a/web of u1',
  ])
  const other = sandbox({ id: 's2', podUid: 'u2', pod: 'default/b' })
  expect(duplicates(look({ containers: [sandbox(), other] }))).toEqual(['the address 10.42.0.2'])
})

test('a container that is missing, dead or paused is lost, and so is a missing pod', () => {
  expect(lost(look({ containers: [container()] }), good, never)).toEqual(['default/a/POD of u1'])
  expect(lost(look({ containers: [sandbox(), container({ state: 'paused' })] }), good, never)).toEqual(['default/a/web of u1'])
  expect(lost(look({ containers: [], pods: [] }), good, never)).toEqual(['the pod default/a'])
  expect(lost(look({ containers: [], pods: [] }), good, () => true)).toEqual([])
  const set = { uid: 'r1', key: 'default/r', replicas: 2 }
  const ofSet = pod({ owner: 'r1' })
  expect(lost(look({ sets: [set], pods: [ofSet, pod({ uid: 'u2', owner: 'r1', isDeleted: true })] }), good, never)).toEqual([
    'a pod of default/r',
  ])
})

test('a pod that has ended needs no containers', () => {
  expect(unsettled(look({ containers: [], pods: [pod({ hasEnded: true, isReady: false })] }), good, never)).toEqual([])
})

test('a container whose pod is gone is an orphan, also when it is dead', () => {
  const left = container({ id: 'c9', podUid: 'u9', pod: 'default/gone', state: 'exited' })
  expect(orphans(look({ containers: [sandbox(), container(), left] }))).toEqual(['default/gone/web of u9'])
})

test('another container, or another start of the same, is a restart unless it may be', () => {
  expect(restarted(good, look({ containers: [sandbox(), container({ id: 'c2' })] }), never)).toEqual(['default/a/web of u1'])
  expect(restarted(good, look({ containers: [sandbox(), container({ startedAt: 'one' })] }), never)).toEqual([
    'default/a/web of u1',
  ])
  expect(restarted(good, look({ containers: [sandbox(), container({ state: 'exited' })] }), never)).toHaveLength(1)
  expect(restarted(good, look({ containers: [] }), ({ container: name }) => name === 'web')).toEqual(['default/a/POD of u1'])
})

test('what does not answer, is not ready or not gone keeps the cluster from having recovered', () => {
  const sick = look({
    containers: undefined,
    sickNodes: ['one'],
    pods: [pod({ isReady: false }), pod({ uid: 'u2', isDeleted: true })],
  })
  expect(unsettled(sick, good, () => true)).toEqual([
    'containers cannot be read',
    'lost: default/a/POD of u1',
    'lost: default/a/web of u1',
    'not ready: default/a',
    'not gone yet: default/a',
    'node not ready: one',
  ])
})
