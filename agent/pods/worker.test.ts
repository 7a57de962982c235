import { afterEach, expect, test } from 'vitest'
import { PodWorld, type PodWorldOptions } from '../runtime/hollow/testing/pod-world.ts'
import type { Pod } from './pod-types.ts'
import { testPod } from './testing/doubles.ts'

let world: PodWorld
afterEach(async () => await world.stop())

async function started(options: PodWorldOptions, ...pods: readonly Pod[]): Promise<PodWorld> {
  world = new PodWorld(options)
  for (const pod of pods) world.desired.put(pod)
  await world.start()
  return world
}

const crashing: PodWorldOptions['script'] = ({ identity }) => (identity.role === 'app' ? { exitAfterMs: 1000, exitCode: 2 } : {})

const deleted = (pod: Pod, seconds = 30): Pod => ({
  ...pod,
  metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: seconds },
})

test('a pod is brought up at once and reported as running and ready', async () => {
  await started({}, testPod())
  expect(world.status()).toMatchObject({ phase: 'Running', podIP: '10.1.0.1', hostIP: '192.0.2.1' })
  expect(world.status().containerStatuses).toMatchObject([{ name: 'web', ready: true, started: true, restartCount: 0 }])
  expect(world.condition('Ready')).toBe('True')
  expect(world.reasons).toEqual(['Pulled', 'Created', 'Started'])
})

function countingLists(): { readonly faults: NonNullable<PodWorldOptions['faults']>; readonly lists: string[] } {
  const lists: string[] = []
  const faults: PodWorldOptions['faults'] = (call, what) => {
    if (call === 'list' && what === 'uid-1') lists.push(what)
    return undefined
  }
  return { faults, lists }
}

test('a new pod is not looked for before it runs, and once a little later', async () => {
  const { faults, lists } = countingLists()
  await started({ faults })
  world.desired.put(testPod())
  await world.settle()
  expect(world.condition('Ready')).toBe('True')
  expect(lists).toHaveLength(0)
  await world.pass(1_000)
  expect(lists).toHaveLength(1)
})

test('a pod that comes back to a node where its containers still are is looked for', async () => {
  const { faults, lists } = countingLists()
  await started({ faults }, testPod())
  const before = await world.all()
  await world.stop()
  world.desired.map.clear()
  await world.start()
  lists.length = 0
  world.desired.put(testPod())
  await world.settle()
  expect(lists.length).toBeGreaterThan(0)
  expect((await world.all()).map(({ id }) => id)).toEqual(before.map(({ id }) => id))
})

/** The first sandbox is told of before it is the pod's, which it becomes, or does not, when the test says so. */
function takingSlowly(): { take(): void; lose(): void } {
  const { sandboxes, runtime } = world
  const { ensure } = sandboxes
  const taking = Promise.withResolvers<void>()
  let isFirst = true
  sandboxes.ensure = async (pod, states, opts) => {
    const { containerId, ip } = await ensure(pod, states, opts)
    const state = await runtime.state(containerId, opts)
    const found = { containerId, ip, hostname: 'web', ...(state && { state }) }
    if (isFirst) {
      isFirst = false
      opts.expected?.(found)
      await taking.promise
    }
    return found
  }
  return { take: taking.resolve, lose: () => taking.reject(new Error('somebody else has it')) }
}

test('a container is made while the sandbox of its pod is taken, and started in no other', async () => {
  const { faults, lists } = countingLists()
  await started({ faults })
  const { take } = takingSlowly()
  world.desired.put(testPod())
  await world.settle()
  const apps = async () => (await world.all()).filter(({ identity }) => identity.role === 'app')
  const [made] = await apps()
  expect(made).toMatchObject({ status: 'created', identity: { container: 'web', attempt: 0 } })
  take()
  await world.settle()
  expect(world.condition('Ready')).toBe('True')
  expect((await apps()).map(({ id }) => id)).toEqual([made?.id])
  expect(world.reasons).toEqual(['Pulled', 'Created', 'Started'])
  expect(lists).toHaveLength(0)
})

test('a container that was made for a sandbox which another pod got is never started', async () => {
  await started({})
  const { lose } = takingSlowly()
  world.desired.put(testPod())
  await world.settle()
  const [made] = await world.containers()
  expect(made?.status).toBe('created')
  lose()
  await world.settle()
  expect((await world.containers()).map(({ status }) => status)).toEqual(['created'])
  // What was to be its sandbox is somebody else's now.
  for (const { id, identity } of await world.all())
    if (identity.role === 'sandbox') await world.runtime.remove(id, { signal: new AbortController().signal })
  await world.pass(10_000)
  expect(world.condition('Ready')).toBe('True')
  const [now, ...others] = await world.containers()
  expect([others, now?.id === made?.id, now?.identity.attempt]).toEqual([[], false, 0])
})

test('a pod that is deleted while its sandbox is taken leaves nothing', async () => {
  await started({})
  const { take } = takingSlowly()
  world.desired.put(testPod())
  await world.settle()
  world.desired.put(deleted(testPod(), 0))
  take()
  await world.pass(3_000)
  world.desired.remove('uid-1')
  await world.pass(3_000)
  expect(await world.all()).toEqual([])
})

test('an image that fails to come while the sandbox is made is told of, and the pod runs when it has come', async () => {
  let isThere = false
  const registry = (ref: string) => (isThere ? { ref } : { error: 'no such host' })
  await started({ images: [], registry }, testPod())
  expect(world.status().containerStatuses?.[0]?.state).toMatchObject({ waiting: { reason: 'ErrImagePull' } })
  isThere = true
  await world.pass(15_000)
  expect(world.condition('Ready')).toBe('True')
})

test('a crashing container is restarted at once, then after 10 s, then after 20 s', async () => {
  await started({ script: crashing }, testPod())
  await world.pass(1500)
  expect(world.status().containerStatuses?.[0]).toMatchObject({ restartCount: 1, state: { running: {} } })
  await world.pass(1500)
  expect(world.status().containerStatuses?.[0]).toMatchObject({
    restartCount: 1,
    state: { waiting: { reason: 'CrashLoopBackOff', message: expect.stringContaining('back-off 10s restarting failed') } },
    lastState: { terminated: { exitCode: 2, reason: 'Error' } },
  })
  expect(world.status().phase).toBe('Running')
  await world.pass(10_000)
  expect(world.status().containerStatuses?.[0]?.restartCount).toBe(2)
  await world.pass(15_000)
  expect(world.status().containerStatuses?.[0]?.restartCount).toBe(2)
  await world.pass(10_000)
  expect(world.status().containerStatuses?.[0]?.restartCount).toBe(3)
  expect(world.reasons).toContain('BackOff')
  expect((await world.containers()).length).toBeLessThanOrEqual(2)
})

test('the back-off goes on where it was after a restart of the agent', async () => {
  await started({ script: crashing }, testPod())
  await world.pass(18_000)
  expect(world.status().containerStatuses?.[0]?.restartCount).toBe(2)
  await world.stop()
  await world.start()
  await world.pass(10_000)
  expect(world.status().containerStatuses?.[0]).toMatchObject({
    restartCount: 2,
    state: { waiting: { reason: 'CrashLoopBackOff' } },
  })
  await world.pass(10_000)
  expect(world.status().containerStatuses?.[0]?.restartCount).toBe(3)
})

test('a restart of the agent restarts nothing', async () => {
  await started({}, testPod())
  const before = await world.all()
  await world.stop()
  const told = world.reporter.statuses.length
  world.clock.step(60_000)
  await world.start()
  await world.pass(30_000)
  expect((await world.all()).map(({ id, startedMs }) => ({ id, startedMs }))).toEqual(
    before.map(({ id, startedMs }) => ({ id, startedMs })),
  )
  expect(world.status().phase).toBe('Running')
  expect(world.reporter.statuses.slice(told).every(({ status }) => status.containerStatuses?.[0]?.ready === true)).toBe(true)
})

test('a deleted pod is stopped with its grace, then nothing is left and it is reported terminated', async () => {
  await started({ script: ({ identity }) => (identity.role === 'app' ? { onTerm: 'ignores' } : {}) }, testPod())
  world.desired.put(deleted(testPod(), 5))
  await world.pass(4500)
  expect((await world.containers())[0]?.status).toBe('running')
  expect(world.reporter.statuses.at(-1)?.terminated).toBe(false)
  await world.pass(1000)
  expect(await world.all()).toEqual([])
  expect(world.volumes.folders.size).toBe(0)
  expect(world.sandboxes.wired.size).toBe(0)
  const last = world.reporter.statuses.at(-1)
  expect(last).toMatchObject({ terminated: true, status: { phase: 'Failed' } })
  expect(last?.status.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(137)
  world.desired.remove('uid-1')
  await world.pass(1000)
  expect(world.desired.removed.size).toBe(0)
})

test('a grace that is shortened while the pod stops holds at once', async () => {
  await started({ script: ({ identity }) => (identity.role === 'app' ? { onTerm: 'ignores' } : {}) }, testPod())
  world.desired.put(deleted(testPod(), 60))
  await world.pass(2000)
  expect((await world.containers())[0]?.status).toBe('running')
  world.desired.put(deleted(testPod(), 0))
  await world.pass(500)
  expect(await world.all()).toEqual([])
})

test('a pod that the control plane removed goes, a stranger stays', async () => {
  await started({}, testPod())
  await world.stop()
  world.desired.map.clear()
  await world.start()
  await world.pass(40_000)
  expect((await world.containers())[0]?.status).toBe('running')
  world.desired.removed.add('uid-1')
  await world.pass(40_000)
  expect(await world.all()).toEqual([])
  expect(world.desired.removed.size).toBe(0)
})

test('init containers run one after another, and the app after them', async () => {
  const order: string[] = []
  const pod = testPod({
    initContainers: [
      { name: 'one', image: 'web:1' },
      { name: 'two', image: 'web:1' },
    ],
  })
  await started(
    {
      script: ({ identity }) => {
        order.push(identity.container)
        return identity.role === 'init' ? { exitAfterMs: 2000 } : {}
      },
    },
    pod,
  )
  expect(world.status()).toMatchObject({
    phase: 'Pending',
    containerStatuses: [{ state: { waiting: { reason: 'PodInitializing' } } }],
  })
  expect(world.condition('Initialized')).toBe('False')
  await world.pass(5000)
  expect(order).toEqual(['POD', 'one', 'two', 'web'])
  expect(world.status()).toMatchObject({ phase: 'Running', initContainerStatuses: [{ ready: true }, { ready: true }] })
  expect(world.condition('Initialized')).toBe('True')
})

test.each([
  ['Never', 0, 'Succeeded', 0],
  ['Never', 1, 'Failed', 0],
  ['OnFailure', 0, 'Succeeded', 0],
  ['OnFailure', 1, 'Running', 1],
  ['Always', 0, 'Running', 1],
] as const)(
  'with restartPolicy %s an exit with %i makes the pod %s after %i restarts',
  async (restartPolicy, exitCode, phase, restarts) => {
    await started(
      { script: ({ identity }) => (identity.role === 'app' ? { exitAfterMs: 1000, exitCode } : {}) },
      testPod({ restartPolicy }),
    )
    await world.pass(3000)
    expect(world.status().phase).toBe(phase)
    expect(world.status().containerStatuses?.[0]?.restartCount).toBe(restarts)
    // A finished pod gives its address back and keeps its container for the logs.
    if (phase !== 'Running') expect((await world.all()).map(({ identity }) => identity.role)).toEqual(['app'])
  },
)

test('a failed pull shows ErrImagePull, then ImagePullBackOff, and is tried again', async () => {
  let isThere = false
  await started({ images: [], registry: (ref) => (isThere ? { ref } : { error: 'no such host' }) }, testPod())
  expect(world.status().containerStatuses?.[0]?.state?.waiting).toMatchObject({
    reason: 'ErrImagePull',
    message: expect.stringContaining('no such host'),
  })
  await world.pass(3000)
  expect(world.status().containerStatuses?.[0]?.state?.waiting).toEqual({
    reason: 'ImagePullBackOff',
    message: 'Back-off pulling image "web:1"',
  })
  isThere = true
  await world.pass(9000)
  expect(world.status().phase).toBe('Running')
  expect(world.reasons).toEqual(expect.arrayContaining(['Pulling', 'Failed', 'BackOff', 'Pulled', 'Started']))
})

test('an image that comes in another way while its pulls back off is found within 10 s, and not pulled before its time', async () => {
  const pulls: string[] = []
  const registry = (ref: string): { error: string } => {
    pulls.push(ref)
    return { error: 'no such host' }
  }
  await started({ images: [], registry }, testPod())
  await world.pass(40_000)
  // At 0, 10 and 30 s; the next one is due at 70 s.
  expect(pulls).toHaveLength(3)
  await world.runtime.importImage('web:1', new Uint8Array(), { entrypoint: [] }, { signal: new AbortController().signal })
  await world.pass(10_000)
  expect(world.status().phase).toBe('Running')
  expect(pulls).toHaveLength(3)
})

test('an image that may not be pulled and a name that is none are said so', async () => {
  const never = testPod({ containers: [{ name: 'web', image: 'other:1', imagePullPolicy: 'Never' }] })
  const bad = testPod({ containers: [{ name: 'web', image: 'Bad Name' }] }, { uid: 'uid-2' })
  await started({}, never, bad)
  expect(world.status().containerStatuses?.[0]?.state?.waiting?.reason).toBe('ErrImageNeverPull')
  expect(world.status('uid-2').containerStatuses?.[0]?.state?.waiting?.reason).toBe('InvalidImageName')
})

test('a missing ConfigMap is named, and the container starts when it comes', async () => {
  const env = [{ name: 'LEVEL', valueFrom: { configMapKeyRef: { name: 'settings', key: 'level' } } }]
  await started({}, testPod({ containers: [{ name: 'web', image: 'web:1', env }] }))
  expect(world.status().containerStatuses?.[0]?.state?.waiting).toEqual({
    reason: 'CreateContainerConfigError',
    message: 'configmap "settings" not found',
  })
  const metadata = { name: 'settings', namespace: 'default', uid: 'c', resourceVersion: '2' }
  world.desired.configMaps.set('default/settings', { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { level: 'debug' } })
  world.desired.tell('uid-1')
  await world.settle()
  expect(world.status().phase).toBe('Running')
  expect(world.runtime.spec((await world.containers())[0]?.id ?? '').env).toContainEqual({ name: 'LEVEL', value: 'debug' })
})

test('a command that does not exist is a StartError that is retried with back-off', async () => {
  const startError = 'exec: "nope": executable file not found in $PATH'
  await started({ script: ({ identity }) => (identity.role === 'app' ? { startError } : {}) }, testPod())
  await world.pass(3000)
  expect(world.status().containerStatuses?.[0]).toMatchObject({
    state: { waiting: { reason: 'CrashLoopBackOff' } },
    lastState: { terminated: { reason: 'StartError', exitCode: 127, message: startError } },
  })
  expect(world.reasons).toContain('Failed')
})

test('a dead sandbox takes its containers with it into a new one, without back-off', async () => {
  await started({}, testPod())
  const sandbox = (await world.all()).find(({ identity }) => identity.role === 'sandbox')
  world.runtime.crash(sandbox?.id ?? '')
  await world.pass(2000)
  const states = await world.all()
  const fresh = states.find(({ identity, status }) => identity.role === 'sandbox' && status === 'running')
  expect(fresh?.id).not.toBe(sandbox?.id)
  const app = states.find(({ identity, status }) => identity.role === 'app' && status === 'running')
  expect(app?.identity.attempt).toBe(1)
  expect(app?.annotations['sandbox']).toBe(fresh?.id)
  expect(world.reasons).toContain('SandboxChanged')
})

test('after a power cut everything starts again, without the control plane and without back-off', async () => {
  await started({}, testPod())
  await world.stop()
  world.runtime.powerOff()
  world.clock.step(30_000)
  await world.start()
  await world.pass(1000)
  expect(world.status()).toMatchObject({ phase: 'Running', containerStatuses: [{ restartCount: 1, state: { running: {} } }] })
})

test('what happens without any event is found by the relist', async () => {
  await started({}, testPod())
  world.runtime.powerOff()
  await world.pass(22_000)
  expect(world.status()).toMatchObject({ phase: 'Running', containerStatuses: [{ restartCount: 1, state: { running: {} } }] })
})

test('a storm of starts is worked through by a bounded number of lanes', async () => {
  const pods = Array.from({ length: 40 }, (_, index) => testPod({}, { uid: `uid-${index}`, name: `web-${index}` }))
  await started({}, ...pods)
  await world.pass(1000)
  expect(pods.map(({ metadata }) => world.status(metadata.uid).phase)).toEqual(pods.map(() => 'Running'))
})

test('a changed image restarts the container', async () => {
  await started({}, testPod())
  world.desired.put(testPod({ containers: [{ name: 'web', image: 'web:2' }] }))
  await world.pass(1000)
  const running = (await world.containers()).filter(({ status }) => status === 'running')
  expect(running.map(({ image, identity }) => ({ image, attempt: identity.attempt }))).toEqual([{ image: 'web:2', attempt: 1 }])
})

test('the status tells the image that a container has, not the one that it is to have', async () => {
  await started({ pullMs: 5_000 }, testPod())
  await world.pass(6_000)
  world.desired.put(testPod({ containers: [{ name: 'web', image: 'web:2' }] }))
  await world.pass(1_000)
  expect(world.status().containerStatuses).toMatchObject([{ image: 'web:1', ready: false }])
  await world.pass(6_000)
  expect(world.status().containerStatuses).toMatchObject([{ image: 'web:2', ready: true, restartCount: 1 }])
})

test('an image that is changed while the old one is pulled is not waited for', async () => {
  await started({ images: [], pullMs: 60_000 }, testPod())
  await world.pass(10_000)
  world.desired.put(testPod({ containers: [{ name: 'web', image: 'web:2' }] }))
  await world.pass(61_000)
  expect((await world.containers()).map(({ image, status }) => ({ image, status }))).toEqual([
    { image: 'web:2', status: 'running' },
  ])
})

test('activeDeadlineSeconds ends the pod as failed, whatever the wall clock does', async () => {
  await started({}, testPod({ activeDeadlineSeconds: 5 }))
  await world.pass(4000)
  expect(world.status().phase).toBe('Running')
  await world.pass(2000)
  expect(world.status()).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' })
  expect((await world.containers()).map(({ status }) => status)).toEqual(['exited'])
})

test('a failing liveness probe restarts the container and says so', async () => {
  let isAlive = true
  const livenessProbe = { exec: { command: ['check'] }, periodSeconds: 1, failureThreshold: 2 }
  await started(
    { exec: () => ({ exitCode: isAlive ? 0 : 1, output: 'not well' }) },
    testPod({ containers: [{ name: 'web', image: 'web:1', livenessProbe }] }),
  )
  await world.pass(5000)
  expect(world.status().containerStatuses?.[0]?.restartCount).toBe(0)
  isAlive = false
  await world.pass(2000)
  isAlive = true
  await world.pass(3000)
  expect(world.status().containerStatuses?.[0]).toMatchObject({ restartCount: 1, state: { running: {} } })
  expect(world.reporter.events).toContainEqual(
    expect.objectContaining({ reason: 'Unhealthy', message: 'Liveness probe failed: not well' }),
  )
  expect(world.reporter.events).toContainEqual(
    expect.objectContaining({ reason: 'Killing', message: 'Container web failed liveness probe, will be restarted' }),
  )
})

test('last words and the end of the log become the termination message', async () => {
  world = new PodWorld({
    script: ({ identity }) => (identity.role === 'app' ? { exitAfterMs: 1000, exitCode: 1, log: 'boom\n' } : {}),
  })
  world.volumes.words.set('web/0', 'no disk')
  const quiet = { name: 'quiet', image: 'web:1', terminationMessagePolicy: 'FallbackToLogsOnError' } as const
  world.desired.put(testPod({ restartPolicy: 'Never', containers: [{ name: 'web', image: 'web:1' }, quiet] }))
  await world.start()
  await world.pass(2000)
  const messages = world.status().containerStatuses?.map(({ state }) => state?.terminated?.message)
  expect(messages).toEqual(['no disk', 'boom\n'])
})

test('a failing postStart hook restarts the container; a preStop hook runs before the end', async () => {
  const commands: string[] = []
  const lifecycle = { postStart: { exec: { command: ['warm-up'] } }, preStop: { exec: { command: ['say-bye'] } } }
  await started(
    {
      exec: (_name, [word = '']) => {
        commands.push(word)
        return { exitCode: commands.length === 1 ? 1 : 0 }
      },
    },
    testPod({ containers: [{ name: 'web', image: 'web:1', lifecycle }] }),
  )
  await world.pass(1000)
  expect(commands).toEqual(['warm-up', 'say-bye', 'warm-up'])
  expect(world.status().containerStatuses?.[0]).toMatchObject({ restartCount: 1, ready: true })
  expect(world.reasons).toContain('FailedPostStartHook')
  world.desired.put(deleted(testPod({ containers: [{ name: 'web', image: 'web:1', lifecycle }] })))
  await world.pass(1000)
  expect(commands.at(-1)).toBe('say-bye')
  expect(await world.all()).toEqual([])
})

test('a volume that can not be prepared holds the pod back and is tried again', async () => {
  world = new PodWorld()
  world.volumes.failure = new Error('MountVolume.SetUp failed for volume "cfg" : configmap "x" not found')
  world.desired.put(testPod())
  await world.start()
  expect(world.status()).toMatchObject({
    phase: 'Pending',
    containerStatuses: [{ state: { waiting: { reason: 'ContainerCreating' } } }],
  })
  expect(world.reasons).toContain('FailedMount')
  world.volumes.failure = undefined
  await world.pass(5000)
  expect(world.status().phase).toBe('Running')
})

test('an engine whose answers are lost, or that hangs, leads to no second container', async () => {
  let calls = 0
  const faults: PodWorldOptions['faults'] = (call) => {
    if (call !== 'create' && call !== 'start') return undefined
    calls++
    return calls % 3 === 0 ? undefined : calls % 3 === 1 ? 'answerLost' : 'hangsAfterEffect'
  }
  await started({ faults }, testPod())
  await world.pass(600_000, 1000)
  expect(world.status()).toMatchObject({ phase: 'Running', containerStatuses: [{ restartCount: 0 }] })
  expect((await world.containers()).length).toBe(1)
})
