import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { seededRandom, systemRandom } from '../../lib/random.ts'
import { createRunCommand } from '../host/command.ts'
import { HostPorts } from '../network/host-ports.ts'
import { NodeNetwork } from '../network/node-network.ts'
import type { Pod } from '../pods/pod-types.ts'
import { createPods } from '../pods/pods.ts'
import { TestDesired, TestReporter, testPod } from '../pods/testing/doubles.ts'
import { createProbes } from '../probes/probes.ts'
import { readLog, runExec } from '../runtime/conformance.ts'
import { createDockerRuntime } from '../runtime/docker/docker-runtime.ts'
import { makeTestImage, startTestEngine, type TestEngine, testImage } from '../runtime/docker/testing/test-engine.ts'
import { isSpareUid, type Runtime } from '../runtime/runtime.ts'
import { createVolumes } from '../volumes/volumes.ts'
import { Gates } from './gates.ts'
import { podFiles } from './pod-files.ts'
import { createSandboxes } from './sandboxes.ts'
import { linkName } from './wiring.ts'

let engine: TestEngine
let runtime: Runtime
let network: NodeNetwork
let root: string
let desired: TestDesired
let reporter: TestReporter
let agent: { stop(): Promise<void> } | undefined
const opts = { signal: new AbortController().signal }
const node = { name: 'node-1', ip: '192.0.2.1', cpuMilli: 2000, memoryBytes: 8e9 }
const run = createRunCommand({ clock: systemClock })

beforeAll(async () => {
  engine = await startTestEngine()
  await makeTestImage(engine)
  runtime = createDockerRuntime({ socketPath: engine.socketPath, owner: 'test', clock: systemClock, log: silentLog })
  network = new NodeNetwork({ bridge: 'skiff0', run: engine.run, log: silentLog })
  network.configure({ podCidr: '10.85.5.0/24', clusterCidr: '10.85.0.0/16', serviceCidr: '10.96.0.0/16' })
})
afterAll(async () => await engine[Symbol.asyncDispose]())

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'skiff-spares-'))
  desired = new TestDesired()
  reporter = new TestReporter()
})
afterEach(async () => {
  for (const pod of desired.pods()) desired.remove(pod.metadata.uid ?? '')
  await eventually('only spares are left', async () =>
    (await runtime.list(opts)).every(({ identity }) => isSpareUid(identity.podUid)),
  )
  await agent?.stop()
  agent = undefined
  await rm(root, { recursive: true })
})

/** As a fresh process would: nothing is remembered but what lies on engine and disk. */
function startAgent(size: number): void {
  const [clock, random, log] = [systemClock, seededRandom(1), silentLog]
  let isBusy = (): boolean => true
  const sandboxes = createSandboxes({
    ...{ runtime, network, nodeIp: node.ip, run: engine.run, clock, log },
    hostPorts: new HostPorts(),
    gates: new Gates({ folder: join(root, 'programs'), architecture: 'amd64', run, clock }),
    spares: { size, most: size, isBusy: () => isBusy(), random: systemRandom },
  })
  const probes = createProbes({ runtime, clock, random, log })
  const pods = createPods({
    ...{ desired, runtime, sandboxes, probes, reporter, clock, random, log, node },
    volumes: createVolumes({ root, node, clock, random, log }),
    metrics: createMetrics('test_'),
    podFiles: (pod, ip, folder) => podFiles(pod, ip, folder),
  })
  isBusy = () => pods.isBusy
  const controller = new AbortController()
  const ended = Promise.all([probes, pods, sandboxes].map((service) => service.run(controller.signal)))
  agent = {
    async stop() {
      controller.abort(new Error('the agent ends'))
      await ended
    },
  }
}

async function eventually(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`not so after 30 s: ${what}; ${JSON.stringify(reporter.statuses.at(-1))} ${JSON.stringify(reporter.events)}`)
}

const statusOf = (uid: string) => reporter.statuses.findLast((one) => one.uid === uid)?.status
const isReady = (uid: string): boolean =>
  statusOf(uid)?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
const spares = async () => (await runtime.list(opts)).filter(({ identity }) => isSpareUid(identity.podUid))
const haveSpares = (count: number) =>
  eventually(`there are ${count} spares`, async () => {
    const all = await spares()
    if (all.length !== count || all.some(({ status }) => status !== 'running')) return false
    // Connecting them is the last that is done to them.
    const links = await engine.exec('ip', '-o', 'link', 'show', 'up')
    return all.every(({ id }) => links.includes(linkName(id)))
  })
const partOf = async (uid: string, role: string) =>
  (await runtime.listPod(uid, opts)).filter(({ identity, status }) => identity.role === role && status === 'running')
const appOf = async (uid: string): Promise<string> => (await partOf(uid, 'app'))[0]?.id ?? ''

/** Says at once, and only once, what it is called in all the ways there are. */
const introduce = 'hostname; hostname; echo $HOSTNAME; cat /etc/hostname /proc/sys/kernel/hostname; exec sleep 3600'
const pod = (uid: string, spec: Partial<Pod['spec']> = {}): Pod =>
  testPod(
    {
      containers: [{ name: 'web', image: testImage, command: ['sh', '-c', introduce] }],
      terminationGracePeriodSeconds: 1,
      ...spec,
    },
    { uid, name: `name-of-${uid}` },
  )
const fiveTimes = (name: string): string => `${name}\n`.repeat(5)

test('a pod takes a sandbox that was ready, and its command never sees another host name', async () => {
  startAgent(2)
  await haveSpares(2)
  const before = new Map((await spares()).map(({ id, annotations }) => [id, annotations['ip']]))
  desired.put(pod('one'))
  await eventually('it is ready', () => isReady('one'))
  const [sandbox] = await partOf('one', 'sandbox')
  expect(before.get(sandbox?.id ?? '')).toBe(statusOf('one')?.podIP)
  const id = await appOf('one')
  await eventually('it has said its names', async () => (await readLog(runtime, id, {})).stdout.split('\n').length > 5)
  expect(await readLog(runtime, id, {})).toEqual({ stdout: fiveTimes('name-of-one'), stderr: '' })
  expect((await runExec(runtime, id, ['hostname'])).stdout).toBe('name-of-one\n')
  // Nothing of it lies in the image's layer, and the process is the command, not a child of something.
  expect(await engine.docker('diff', id)).not.toContain('gate')
  expect((await runExec(runtime, id, ['cat', '/proc/1/cmdline'])).stdout).toBe('sleep\u00003600\u0000')
  await engine.exec('busybox', 'ping', '-c1', '-W2', statusOf('one')?.podIP ?? '')
  await haveSpares(2)
  expect((await spares()).map((one) => one.id)).not.toContain(sandbox?.id)

  // A new agent knows it again by its name, and leaves it alone.
  const all = (await runtime.list(opts)).map((one) => `${one.id} ${one.startedMs}`).sort()
  await agent?.stop()
  startAgent(2)
  reporter.statuses.length = 0
  await eventually('the new agent has looked', () => isReady('one'))
  expect((await runtime.list(opts)).map((one) => `${one.id} ${one.startedMs}`).sort()).toEqual(all)

  await engine.docker('kill', id)
  await eventually('it runs again', () => statusOf('one')?.containerStatuses?.[0]?.restartCount === 1 && isReady('one'))
  const said = async () => (await readLog(runtime, await appOf('one'), {})).stdout
  await eventually('it has said its names again', async () => (await said()).split('\n').length > 5)
  expect(await said()).toBe(fiveTimes('name-of-one'))
})

test('an agent that ends while a container waits at its gate is followed by one that opens it', async () => {
  startAgent(1)
  await haveSpares(1)
  const openGate = Gates.prototype.open
  const reached = Promise.withResolvers<void>()
  // This one does not get that far.
  const { nameEarly } = Gates.prototype
  Gates.prototype.nameEarly = async () => false
  Gates.prototype.open = async (_target, _name, { signal }) => {
    reached.resolve()
    return await new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  }
  try {
    desired.put(pod('late'))
    await reached.promise
    await agent?.stop()
  } finally {
    Object.assign(Gates.prototype, { open: openGate, nameEarly })
  }
  expect(await readLog(runtime, await appOf('late'), {})).toEqual({ stdout: '', stderr: '' })
  startAgent(1)
  await eventually('it is ready', () => isReady('late'))
  expect((await readLog(runtime, await appOf('late'), {})).stdout).toBe(fiveTimes('name-of-late'))
  expect(statusOf('late')?.containerStatuses?.[0]?.restartCount).toBe(0)
})

test('a container gets its host name while the engine is asked about it', async () => {
  const { nameEarly, open } = Gates.prototype
  const early: [string, boolean][] = []
  const late: [string, boolean | undefined][] = []
  Gates.prototype.nameEarly = async function (id, hostname, rest) {
    const isNamed = await nameEarly.call(this, id, hostname, rest)
    early.push([hostname, isNamed])
    return isNamed
  }
  Gates.prototype.open = async function (target, hostname, rest) {
    late.push([hostname, rest.isNamed])
    return await open.call(this, target, hostname, rest)
  }
  try {
    startAgent(2)
    await haveSpares(2)
    desired.put(pod('early'))
    await eventually('it is ready', () => isReady('early'))
  } finally {
    Object.assign(Gates.prototype, { nameEarly, open })
  }
  expect(early).toEqual([['name-of-early', true]])
  expect(late).toEqual([['name-of-early', true]])
  const id = await appOf('early')
  await eventually('it has said its names', async () => (await readLog(runtime, id, {})).stdout.split('\n').length > 5)
  expect((await readLog(runtime, id, {})).stdout).toBe(fiveTimes('name-of-early'))
})

test('a process that is not yet the gate counts neither as begun nor as failed', async () => {
  const names = ['runc:[2:INIT]', 'skiff-gate', 'skiff-failed']
  const script = `${names.map((name) => `echo '${name}' >/proc/$$/comm; sleep 0.3`).join('; ')}; sleep 60; :`
  const child = spawn('unshare', ['--uts', 'sh', '-c', `echo ready; ${script}`], { stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    await once(child.stdout, 'data')
    const programs: string[] = []
    const noting: typeof run = (command, rest) => {
      programs.push(command.program)
      return run(command, rest)
    }
    const gates = new Gates({ folder: join(root, 'other-programs'), architecture: 'amd64', run: noting, clock: systemClock })
    const target = { containerId: '', pid: child.pid ?? 0 }
    const named = (): Promise<string> => engine.exec('nsenter', `--uts=/proc/${child.pid}/ns/uts`, 'hostname')
    // The program that sets names is not there yet, so others stand in for it.
    expect(await gates.open(target, 'of-the-pod', opts)).toBe(false)
    expect([await named(), programs.at(-1)]).toEqual(['of-the-pod\n', 'nsenter'])
    await gates.program(opts)
    await gates.name(target, 'again', opts)
    expect([await named(), programs.at(-1)]).toEqual(['again\n', expect.stringContaining('/other-programs/name-')])
    await expect(gates.name({ containerId: '', pid: process.pid }, 'never', opts)).rejects.toThrow('the host’s own host name')
    await expect(gates.name({ ...target, containerId: 'other' }, 'never', opts)).rejects.toMatchObject({ code: 'NotFound' })
    await expect(gates.name(target, 'a; reboot', opts)).rejects.toMatchObject({ code: 'InvalidSpec' })
  } finally {
    child.kill('SIGKILL')
  }
})

test('rights, users, read-only roots, terminals and a HOSTNAME of its own are no hindrance; a shared process table is one', async () => {
  startAgent(3)
  await haveSpares(3)
  const image = testImage
  const bare = {
    ...{
      name: 'bare',
      image,
      command: ['sh', '-c', 'hostname; id -u; grep -E "CapEff|NoNewPrivs" /proc/self/status; exec sleep 3600'],
    },
    securityContext: {
      ...{ runAsUser: 4711, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
      capabilities: { drop: ['ALL'] },
    },
  }
  desired.put(pod('bare', { containers: [bare] }))
  desired.put(
    pod('tty', {
      containers: [{ name: 'tty', image, command: ['sh', '-c', 'hostname; exec sleep 3600'], tty: true, stdin: true }],
    }),
  )
  const words = {
    name: 'words',
    image,
    args: ['sh', '-c', 'hostname; echo $HOSTNAME; exec sleep 3600'],
    env: [{ name: 'HOSTNAME', value: 'mine' }],
  }
  desired.put(pod('named', { containers: [words] }))
  desired.put(pod('shared', { shareProcessNamespace: true, containers: [words] }))
  for (const uid of ['bare', 'tty', 'named', 'shared']) await eventually(`${uid} is ready`, () => isReady(uid))
  expect(reporter.events.filter(({ type }) => type === 'Warning')).toEqual([])
  const logOf = async (uid: string) => (await readLog(runtime, await appOf(uid), {})).stdout
  expect(await logOf('bare')).toBe('name-of-bare\n4711\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n')
  expect(await logOf('tty')).toBe('name-of-tty\r\n')
  for (const uid of ['named', 'shared']) expect(await logOf(uid)).toBe(`name-of-${uid}\nmine\n`)
  const wasSpare = async (uid: string) => (await partOf(uid, 'sandbox'))[0]?.annotations['spare'] !== undefined
  expect(await Promise.all(['bare', 'tty', 'named', 'shared'].map(wasSpare))).toEqual([true, true, true, false])
})

test('a command that cannot run is told in the engine’s words, as without a sandbox that was ready', async () => {
  const cases = { missing: ['nope'], folder: ['/etc'], plain: ['/etc/passwd'], away: ['/nowhere/nope', 'x'] }
  const told: Record<string, unknown>[] = []
  for (const size of [0, 4]) {
    startAgent(size)
    await haveSpares(size)
    for (const [name, command] of Object.entries(cases))
      desired.put(
        testPod(
          { restartPolicy: 'Never', containers: [{ name: 'c', image: testImage, command }] },
          { uid: `${name}-${size}`, name },
        ),
      )
    const results: Record<string, unknown> = {}
    for (const name of Object.keys(cases)) {
      await eventually(`${name} has failed`, () => statusOf(`${name}-${size}`)?.phase === 'Failed')
      const ended = statusOf(`${name}-${size}`)?.containerStatuses?.[0]
      const { exitCode, reason, message } = ended?.state?.terminated ?? {}
      results[name] = { exitCode, reason, message, restarts: ended?.restartCount }
    }
    told.push(results)
    for (const name of Object.keys(cases)) desired.remove(`${name}-${size}`)
    await eventually('they are gone', async () => (await runtime.list(opts)).every(({ identity }) => isSpareUid(identity.podUid)))
    await agent?.stop()
  }
  expect(told[1]).toEqual(told[0])
  expect(told[0]).toMatchObject({ missing: { reason: 'StartError', message: expect.stringMatching(/nope.*not found/) } })
  agent = undefined
})

test('a spare that died is not given out and is replaced, and one too many is removed', async () => {
  startAgent(2)
  await haveSpares(2)
  const [first] = await spares()
  await engine.docker('kill', first?.id ?? '')
  desired.put(pod('after'))
  await eventually('it is ready', () => isReady('after'))
  expect((await partOf('after', 'sandbox'))[0]?.id).not.toBe(first?.id)
  expect(statusOf('after')?.containerStatuses?.[0]?.restartCount).toBe(0)
  await haveSpares(2)
  await agent?.stop()
  startAgent(0)
  await haveSpares(0)
  expect(isReady('after')).toBe(true)
})
