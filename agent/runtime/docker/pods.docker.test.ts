import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../lib/clock.ts'
import { silentLog } from '../../../lib/log.ts'
import { createMetrics } from '../../../lib/metrics.ts'
import { seededRandom } from '../../../lib/random.ts'
import { HostPorts } from '../../network/host-ports.ts'
import { NodeNetwork } from '../../network/node-network.ts'
import type { Pod } from '../../pods/pod-types.ts'
import { createPods } from '../../pods/pods.ts'
import { TestDesired, TestReporter, testPod } from '../../pods/testing/doubles.ts'
import { createProbes } from '../../probes/probes.ts'
import { podFiles } from '../../sandbox/pod-files.ts'
import { createSandboxes } from '../../sandbox/sandboxes.ts'
import { hostMounter } from '../../volumes/mounts.ts'
import { createVolumes } from '../../volumes/volumes.ts'
import { runExec } from '../conformance.ts'
import type { Runtime } from '../runtime.ts'
import { createDockerRuntime } from './docker-runtime.ts'
import { makeTestImage, startTestEngine, type TestEngine, testImage } from './testing/test-engine.ts'

let engine: TestEngine
let runtime: Runtime
let network: NodeNetwork
let root: string
let desired: TestDesired
let reporter: TestReporter
let agent: { stop(): Promise<void> } | undefined
const { signal } = new AbortController()
const opts = { signal }
const node = { name: 'node-1', ip: '192.0.2.1', cpuMilli: 2000, memoryBytes: 8e9 }

beforeAll(async () => {
  engine = await startTestEngine()
  await makeTestImage(engine)
  runtime = createDockerRuntime({ socketPath: engine.socketPath, owner: 'test', clock: systemClock, log: silentLog })
  network = new NodeNetwork({ bridge: 'skiff0', run: engine.run, log: silentLog })
  network.configure({ podCidr: '10.85.4.0/24', clusterCidr: '10.85.0.0/16', serviceCidr: '10.96.0.0/16' })
})
afterAll(async () => await engine[Symbol.asyncDispose]())

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'skiff-pods-'))
  desired = new TestDesired()
  reporter = new TestReporter()
})
afterEach(async () => {
  for (const pod of desired.pods()) desired.remove(pod.metadata.uid ?? '')
  if (agent !== undefined) await eventually('nothing is left', async () => (await runtime.list(opts)).length === 0)
  await agent?.stop()
  agent = undefined
  await rm(root, { recursive: true })
})

/** As a fresh process would: nothing is remembered but what lies on engine and disk. */
function startAgent(): void {
  const [clock, random, log] = [systemClock, seededRandom(1), silentLog]
  const sandboxes = createSandboxes({
    runtime,
    network,
    hostPorts: new HostPorts(),
    nodeIp: node.ip,
    run: engine.run,
    clock,
    log,
  })
  const probes = createProbes({ runtime, clock, random, log })
  const volumes = createVolumes({ root, node, clock, random, log })
  const pods = createPods({
    desired,
    runtime,
    sandboxes,
    volumes,
    probes,
    reporter,
    clock,
    random,
    log,
    node,
    metrics: createMetrics('test_'),
    podFiles: (pod, ip, folder) => podFiles(pod, ip, folder),
  })
  const controller = new AbortController()
  const ended = Promise.all([probes.run(controller.signal), pods.run(controller.signal)])
  agent = {
    async stop() {
      controller.abort(new Error('the agent ends'))
      await ended
    },
  }
}

async function eventually(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`not so after 20 s: ${what}; ${JSON.stringify(reporter.statuses.at(-1))} ${JSON.stringify(reporter.events)}`)
}

const statusOf = (uid: string) => reporter.statuses.findLast((one) => one.uid === uid)?.status
const isReady = (uid: string): boolean =>
  statusOf(uid)?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true

async function inContainer(pod: Pod, script: string): Promise<string> {
  const states = await runtime.listPod(pod.metadata.uid ?? '', opts)
  const id = states.find(({ identity, status }) => identity.role === 'app' && status === 'running')?.id ?? ''
  const { stdout } = await runExec(runtime, id, ['sh', '-c', script])
  return stdout
}

test('a pod with configs, volumes, hooks and probes runs, survives its agent, and leaves nothing', async () => {
  const configMap = { name: 'settings', namespace: 'default', resourceVersion: '1' }
  desired.configMaps.set('default/settings', {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: configMap,
    data: { level: 'debug' },
  })
  const login = { name: 'login', namespace: 'default', resourceVersion: '1' }
  const data = { password: Buffer.from('hunter2').toString('base64') }
  desired.secrets.set('default/login', { apiVersion: 'v1', kind: 'Secret', metadata: login, data })
  const pod = testPod(
    {
      initContainers: [
        {
          name: 'prepare',
          image: testImage,
          command: ['sh', '-c', 'echo ready > /scratch/flag'],
          volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }],
        },
      ],
      containers: [
        {
          name: 'web',
          image: testImage,
          command: ['sh', '-c', 'trap "exit 0" TERM; while true; do sleep 0.1; done'],
          env: [{ name: 'LEVEL', valueFrom: { configMapKeyRef: { name: 'settings', key: 'level' } } }],
          readinessProbe: { exec: { command: ['cat', '/sub/flag'] }, periodSeconds: 1 },
          lifecycle: { postStart: { exec: { command: ['sh', '-c', 'echo $LEVEL > /memory/started'] } } },
          volumeMounts: [
            { name: 'config', mountPath: '/config' },
            { name: 'secret', mountPath: '/secret' },
            { name: 'memory', mountPath: '/memory' },
            { name: 'scratch', mountPath: '/sub/flag', subPath: 'flag' },
          ],
        },
      ],
      volumes: [
        { name: 'config', configMap: { name: 'settings' } },
        { name: 'secret', secret: { secretName: 'login', defaultMode: 0o400 } },
        { name: 'memory', emptyDir: { medium: 'Memory' } },
        { name: 'scratch', emptyDir: {} },
      ],
    },
    { uid: 'uid-full' },
  )
  desired.put(pod)
  startAgent()
  await eventually('the pod is ready', () => isReady('uid-full'))
  expect(await inContainer(pod, 'cat /config/level /secret/password /memory/started /sub/flag')).toBe(
    'debughunter2debug\nready\n',
  )
  expect(await inContainer(pod, 'touch /config/x 2>/dev/null || echo refused')).toBe('refused\n')

  const before = (await runtime.list(opts)).map(({ id, startedMs }) => `${id} ${startedMs}`).sort()
  await agent?.stop()
  startAgent()
  await eventually('the new agent has looked', () => reporter.statuses.length > 0 && isReady('uid-full'))
  expect((await runtime.list(opts)).map(({ id, startedMs }) => `${id} ${startedMs}`).sort()).toEqual(before)

  desired.configMaps.set('default/settings', {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...configMap, resourceVersion: '2' },
    data: { level: 'info' },
  })
  desired.tell('uid-full')
  await eventually('the file has changed', async () => (await inContainer(pod, 'cat /config/level')) === 'info')

  desired.put({
    ...pod,
    metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 10 },
  })
  await eventually('it is reported terminated', () => reporter.statuses.at(-1)?.terminated === true)
  expect(statusOf('uid-full')).toMatchObject({
    phase: 'Succeeded',
    containerStatuses: [{ state: { terminated: { exitCode: 0 } } }],
  })
  expect(await runtime.list(opts)).toEqual([])
  expect(await hostMounter.below(root, opts)).toEqual([])
  expect(await readdir(root)).toEqual([])
})

test('exit code, last words and a command that does not exist are told as Kubernetes does', async () => {
  const words = { name: 'words', image: testImage, command: ['sh', '-c', 'echo no disk > /dev/termination-log; exit 3'] }
  desired.put(testPod({ restartPolicy: 'Never', containers: [words] }, { uid: 'uid-words', name: 'words' }))
  desired.put(
    testPod(
      { restartPolicy: 'Never', containers: [{ name: 'nope', image: testImage, command: ['nope'] }] },
      { uid: 'uid-nope', name: 'nope' },
    ),
  )
  startAgent()
  await eventually(
    'both have failed',
    () => statusOf('uid-words')?.phase === 'Failed' && statusOf('uid-nope')?.phase === 'Failed',
  )
  expect(statusOf('uid-words')?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
    exitCode: 3,
    reason: 'Error',
    message: 'no disk\n',
  })
  const nope = statusOf('uid-nope')?.containerStatuses?.[0]?.state?.terminated
  expect(nope).toMatchObject({ reason: 'StartError', message: expect.stringMatching(/nope.*not found/) })
})

test('a crashed container is restarted, and a killed sandbox replaced', async () => {
  const container = { name: 'web', image: testImage, command: ['sleep', '3600'] }
  desired.put(testPod({ containers: [container], terminationGracePeriodSeconds: 1 }, { uid: 'uid-crash' }))
  startAgent()
  await eventually('it is ready', () => isReady('uid-crash'))
  const kill = async (role: string): Promise<void> => {
    const state = (await runtime.listPod('uid-crash', opts)).find(
      ({ identity, status }) => identity.role === role && status === 'running',
    )
    await engine.docker('kill', state?.id ?? '')
  }
  await kill('app')
  await eventually(
    'it was restarted',
    () => statusOf('uid-crash')?.containerStatuses?.[0]?.restartCount === 1 && isReady('uid-crash'),
  )
  await kill('sandbox')
  await eventually(
    'it runs in a new sandbox',
    () => statusOf('uid-crash')?.containerStatuses?.[0]?.restartCount === 2 && isReady('uid-crash'),
  )
  const running = (await runtime.listPod('uid-crash', opts)).filter(({ status }) => status === 'running')
  expect(running.map(({ identity }) => identity.role).sort()).toEqual(['app', 'sandbox'])
})
