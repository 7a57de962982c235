import { expect, test } from 'vitest'
import type { Deployment } from '../api/kinds/deployment.ts'
import type { Pod } from '../api/kinds/pod.ts'
import { deploymentOutcome, podOutcome, troubles } from './outcome.ts'

const deployment = (status: Deployment['status'], generation = 2): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', generation },
  spec: { replicas: 3, selector: {}, template: { spec: { containers: [] } } },
  ...(status === undefined ? {} : { status }),
})

test.each([
  [{ observedGeneration: 1 }, 'waiting', 'Waiting for deployment spec update to be observed...'],
  [{ observedGeneration: 2, updatedReplicas: 1, replicas: 3 }, 'waiting', '1 out of 3 new replicas have been updated'],
  [{ observedGeneration: 2, updatedReplicas: 3, replicas: 4 }, 'waiting', '1 old replicas are pending termination'],
  [
    { observedGeneration: 2, updatedReplicas: 3, replicas: 3, availableReplicas: 2 },
    'waiting',
    '2 of 3 updated replicas are available',
  ],
  [{ observedGeneration: 2, updatedReplicas: 3, replicas: 3, availableReplicas: 3 }, 'done', 'successfully rolled out'],
] as const)('a deployment with %j is %s', (status, state, line) => {
  const outcome = deploymentOutcome(deployment(status), [])
  expect(outcome.state).toBe(state)
  expect(outcome.line).toContain(line)
})

test('a deployment past its deadline has failed and says why', () => {
  const status = {
    observedGeneration: 2,
    conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }],
  } as const
  const outcome = deploymentOutcome(deployment(status), [waitingPod('a', 'ImagePullBackOff', 'no such image')])
  expect(outcome.state).toBe('failed')
  expect(outcome.why).toEqual(['pod a: container "c" ImagePullBackOff: no such image'])
})

test('a pod that is merely on its way is named for when that takes too long', () => {
  const outcome = podOutcome(waitingPod('a', 'ContainerCreating'))
  expect(outcome.why).toEqual([])
  expect(outcome.pending).toEqual(['pod a: container "c" ContainerCreating, image "x:1"'])
})

function waitingPod(name: string, reason: string, message?: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [{ name: 'c', image: 'x:1' }] },
    status: {
      phase: 'Pending',
      containerStatuses: [
        {
          name: 'c',
          ready: false,
          restartCount: 0,
          image: '',
          imageID: '',
          state: { waiting: { reason, ...(message === undefined ? {} : { message }) } },
        },
      ],
    },
  }
}

test('like troubles are told once, the most frequent first', () => {
  const pods = [
    waitingPod('a', 'ErrImagePull'),
    waitingPod('b', 'CrashLoopBackOff'),
    waitingPod('c', 'CrashLoopBackOff'),
    waitingPod('d', 'ContainerCreating'),
  ]
  expect(troubles(pods)).toEqual(['pod b and 1 more: container "c" CrashLoopBackOff', 'pod a: container "c" ErrImagePull'])
})

test('a pod that fits nowhere says why', () => {
  const pod = {
    ...waitingPod('a', 'x'),
    status: {
      conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes are available' }],
    },
  } as const satisfies Pod
  expect(podOutcome(pod)).toMatchObject({ state: 'waiting', why: ['pod a: Unschedulable: 0/1 nodes are available'] })
})

test('a pod is done when ready or succeeded, and failed when failed', () => {
  const pod = waitingPod('a', 'x')
  expect(podOutcome({ ...pod, status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } }).state).toBe('done')
  expect(podOutcome({ ...pod, status: { phase: 'Succeeded' } }).state).toBe('done')
  expect(podOutcome({ ...pod, status: { phase: 'Failed', reason: 'DeadlineExceeded' } })).toMatchObject({
    state: 'failed',
    why: ['pod a: DeadlineExceeded'],
  })
})
