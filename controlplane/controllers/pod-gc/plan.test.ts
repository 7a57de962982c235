import { expect, test } from 'vitest'
import type { Pod } from '../../../api/kinds/pod.ts'
import { planPodGc } from './plan.ts'

interface Shape {
  readonly node?: string
  readonly phase?: string
  readonly isLeaving?: boolean
  readonly age?: number
}

const podOf = (name: string, { node = '', phase = 'Running', isLeaving = false, age = 0 }: Shape): Pod =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      uid: name,
      creationTimestamp: new Date(Date.UTC(2026, 0, 1) - age * 1000).toISOString(),
      ...(isLeaving ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { containers: [], ...(node === '' ? {} : { nodeName: node }) },
    status: { phase },
  }) as unknown as Pod

const doomed = (pods: readonly Pod[], limit?: number) =>
  planPodGc(pods, (node) => node === 'there', limit).map(({ pod, reason }) => `${pod.metadata.name}: ${reason}`)

test('pods go whose node is gone, and those that were being deleted before they were bound', () => {
  const pods = [
    podOf('lost', { node: 'gone' }),
    podOf('fine', { node: 'there' }),
    podOf('ending', { node: 'there', isLeaving: true }),
    podOf('waiting', { phase: 'Pending' }),
    podOf('unbound', { phase: 'Pending', isLeaving: true }),
  ]
  expect(doomed(pods)).toEqual(['lost: node is gone', 'unbound: was never bound'])
})

test('of too many finished pods the oldest go', () => {
  const pods = [
    podOf('new', { node: 'there', phase: 'Succeeded', age: 1 }),
    podOf('old', { node: 'there', phase: 'Failed', age: 9 }),
    podOf('older', { node: 'there', phase: 'Succeeded', age: 99 }),
    podOf('running', { node: 'there', age: 999 }),
  ]
  expect(doomed(pods, 1)).toEqual(['older: too many finished pods', 'old: too many finished pods'])
  expect(doomed(pods)).toEqual([])
})
