import { expect, test } from 'vitest'
import { FakeClock } from '../../lib/clock.ts'
import type { ContainerRole, ContainerState } from '../runtime/runtime.ts'
import { nextStep } from './next-step.ts'
import { Sightings } from './observe.ts'
import { PodMemory } from './pod-memory.ts'
import type { Pod } from './pod-types.ts'
import { crashDelayMs } from './restart.ts'
import { specHashes } from './spec-hash.ts'
import { podPhase } from './status.ts'
import { testPod } from './testing/doubles.ts'
import type { Attempt, PodView } from './view.ts'

const clock = new FakeClock()
const sandbox = { containerId: 'sandbox', ip: '10.1.0.1' }

function state(
  name: string,
  more: Partial<ContainerState> & { readonly role?: ContainerRole; readonly attempt?: number } = {},
): ContainerState {
  const { role = 'app', attempt = 0, ...rest } = more
  return {
    id: role === 'sandbox' ? 'sandbox' : `${name}-${attempt}`,
    identity: {
      podUid: 'uid-1',
      podNamespace: 'default',
      podName: 'web',
      role,
      container: name,
      attempt,
      specHash: specHashes(testPod()).get(name) ?? '',
    },
    status: 'running',
    image: 'web:1',
    imageId: 'i',
    createdMs: clock.now() - 5000,
    startedMs: clock.now() - 5000,
    finishedMs: undefined,
    exitCode: undefined,
    oomKilled: false,
    error: undefined,
    pid: 1,
    annotations: { sandbox: 'sandbox', streak: String(attempt) },
    ...rest,
  }
}

const running = state('POD', { role: 'sandbox' })
const exited = (name: string, exitCode: number, more: Parameters<typeof state>[1] = {}): ContainerState =>
  state(name, { status: 'exited', exitCode, finishedMs: clock.now(), ...more })
const created = (more: Parameters<typeof state>[1] = {}): ContainerState =>
  state('web', { status: 'created', startedMs: undefined, ...more })

interface Given {
  readonly pod?: Pod
  readonly states?: readonly ContainerState[]
  remember?(memory: PodMemory): void
}

function view({ pod = testPod(), states = [running], remember }: Given): PodView {
  const memory = new PodMemory()
  memory.sandbox = sandbox
  memory.volumePaths = new Map()
  remember?.(memory)
  return { pod, seen: new Sightings(clock).observe(states), memory, nowMs: clock.monotonicMs(), hashes: specHashes(pod) }
}

const info = { id: 'i', tags: [], digests: [], sizeBytes: 1, user: '', entrypoint: ['/run'], command: ['now'], variables: [] }
const never = testPod({ restartPolicy: 'Never' })
const withInit = testPod({ initContainers: [{ name: 'init', image: 'web:1' }] })

test.each<readonly [string, Given, object]>([
  ['the image is looked for beside the sandbox', { states: [] }, { do: 'fetchImage', attempt: 0 }],
  ['the first init container’s image too', { pod: withInit, states: [] }, { do: 'fetchImage', container: { name: 'init' } }],
  [
    'the sandbox does not wait for the image',
    { states: [], remember: ({ activities }) => activities.set('web', { kind: 'image', image: 'web:1', attempt: 0 }) },
    { do: 'ensureSandbox' },
  ],
  [
    'nor for an image that cannot be had',
    { states: [], remember: ({ waits }) => waits.set('image/web', { reason: 'ErrImagePull', message: '', untilMs: 900 }) },
    { do: 'ensureSandbox' },
  ],
  [
    'a sandbox that failed is waited for',
    { states: [], remember: (m) => m.waits.set('sandbox', { reason: '', message: '', untilMs: 900 }) },
    { do: 'wait', untilMs: 900 },
  ],
  ['volumes follow', { remember: (m) => (m.volumePaths = undefined) }, { do: 'prepareVolumes' }],
  ['then the image', {}, { do: 'fetchImage', attempt: 0 }],
  [
    'an image that is being fetched is waited for',
    { remember: (m) => m.activities.set('web', { kind: 'image', image: 'web:1', attempt: 0 }) },
    { do: 'wait' },
  ],
  [
    'then the container',
    { remember: (m) => m.images.set('web', { image: 'web:1', attempt: 0, info }) },
    { do: 'create', attempt: 0, streak: 0, role: 'app' },
  ],
  ['the init container comes first', { pod: withInit }, { do: 'fetchImage', container: { name: 'init' } }],
  ['one that was made is started', { states: [running, created()] }, { do: 'start', id: 'web-0' }],
  [
    'one that was made for another sandbox is made anew',
    { states: [running, created({ annotations: { sandbox: 'old' } })] },
    { do: 'remove', ids: ['web-0'] },
  ],
  ['a running one is left alone', { states: [running, state('web')] }, { do: 'wait', untilMs: undefined }],
  [
    'one that runs beside a newer one is stopped',
    { states: [running, state('web'), state('web', { attempt: 1 })] },
    { do: 'stop', targets: [{ id: 'web-0' }] },
  ],
  [
    'a third dead one is removed',
    { states: [running, exited('web', 1), exited('web', 1, { attempt: 1 }), state('web', { attempt: 2 })] },
    { do: 'remove', ids: ['web-0'] },
  ],
  [
    'one in a lost sandbox is stopped',
    { states: [running, state('web', { annotations: { sandbox: 'old' } })] },
    { do: 'stop', targets: [{ message: expect.stringContaining('lost its sandbox') }] },
  ],
  [
    'one that is unhealthy is stopped with the probe’s grace',
    { states: [running, state('web')], remember: (m) => (m.unhealthy = new Map([['web-0', { message: 'sick', graceMs: 7 }]])) },
    { do: 'stop', targets: [{ message: 'sick', graceMs: 7 }] },
  ],
  ['the first crash is restarted at once', { states: [running, exited('web', 1)] }, { do: 'fetchImage', attempt: 1 }],
  [
    'the second waits',
    { states: [running, exited('web', 1, { attempt: 1 })] },
    { do: 'wait', untilMs: clock.monotonicMs() + 10_000 },
  ],
  [
    'a long run is restarted at once',
    { states: [running, exited('web', 1, { attempt: 5, startedMs: clock.now() - 700_000 })] },
    { do: 'fetchImage', attempt: 6 },
  ],
  ['a finished pod gives its sandbox back', { pod: never, states: [running, exited('web', 0)] }, { do: 'removeSandbox' }],
  [
    'and then rests',
    { pod: never, states: [exited('web', 0)], remember: (m) => (m.sandboxRemoved = true) },
    { do: 'wait', untilMs: undefined },
  ],
])('%s', (_name, given, expected) => expect(nextStep(view(given))).toMatchObject(expected))

const stopping = (cause: 'deleted' | 'finished') => (memory: PodMemory) => {
  memory.stop = { cause, endsMs: clock.monotonicMs() + 8000, graceMs: 8000 }
}

test.each<readonly [string, Given, object]>([
  [
    'all are stopped at once with what is left of the grace',
    { states: [running, state('web'), state('b')], remember: stopping('deleted') },
    { do: 'stop', targets: [{ container: 'web', graceMs: 8000 }, { container: 'b' }] },
  ],
  ['then removed', { states: [running, exited('web', 0)], remember: stopping('deleted') }, { do: 'remove', ids: ['web-0'] }],
  [
    'one that never started too',
    { states: [running, created()], remember: stopping('deleted') },
    { do: 'remove', ids: ['web-0'] },
  ],
  ['then the sandbox', { states: [running], remember: stopping('deleted') }, { do: 'removeSandbox' }],
  [
    'a pod that only finished keeps its containers',
    { states: [running, exited('web', 0)], remember: stopping('finished') },
    { do: 'removeSandbox' },
  ],
])('of a pod on its way out %s', (_name, given, expected) => expect(nextStep(view(given))).toMatchObject(expected))

test('the back-off of crashes is 0, 10, 20, 40 … 300 s, and 0 after ten good minutes', () => {
  const after = (streak: number, ranMs = 0): number => crashDelayMs({ streak, ranMs } as Attempt)
  expect([0, 1, 2, 3, 4, 5, 6, 7, 50].map((streak) => after(streak) / 1000)).toEqual([0, 10, 20, 40, 80, 160, 300, 300, 300])
  expect(after(9, 600_000)).toBe(0)
})

const terminated = (exitCode: number) => ({ state: { terminated: { exitCode } } })
const up = { state: { running: {} } }
const waiting = { state: { waiting: { reason: 'ContainerCreating' } } }
const backOff = { state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: terminated(1).state }

test.each([
  ['Always', [up, waiting], 'Pending'],
  ['Always', [up, up], 'Running'],
  ['Always', [backOff], 'Running'],
  ['Always', [terminated(0)], 'Running'],
  ['OnFailure', [up, terminated(1)], 'Running'],
  ['OnFailure', [terminated(0), backOff], 'Running'],
  ['OnFailure', [terminated(0), terminated(0)], 'Succeeded'],
  ['Never', [up, terminated(1)], 'Running'],
  ['Never', [terminated(0), terminated(1)], 'Failed'],
  ['Never', [terminated(0), terminated(0)], 'Succeeded'],
] as const)('under %s the containers %j make the pod %s', (restartPolicy, states, expected) => {
  const app = states.map((one, index) => ({ name: `c${index}`, ready: false, restartCount: 0, image: '', imageID: '', ...one }))
  expect(podPhase(view({ pod: testPod({ restartPolicy }) }), { init: [], app }, undefined)).toBe(expected)
})

test('a finished phase never goes back', () => {
  const app = [{ name: 'web', ready: true, restartCount: 0, image: '', imageID: '', ...up }]
  expect(podPhase(view({}), { init: [], app }, 'Failed')).toBe('Failed')
})
