import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ExecInput, ExecOutput } from '../../../api/meta/streams.ts'
import { systemClock } from '../../../lib/clock.ts'
import { silentLog } from '../../../lib/log.ts'
import { readLog, runExec, runtimeConformance, testSpec } from '../conformance.ts'
import type { ContainerEvent, ContainerSpec, Runtime } from '../runtime.ts'
import { createDockerRuntime } from './docker-runtime.ts'
import { readHostRights } from './host-rights.ts'
import { hearEvents } from './testing/hear-events.ts'
import { makeTestImage, startTestEngine, type TestEngine, testImage } from './testing/test-engine.ts'

let engine: TestEngine
let runtime: Runtime
const { signal } = new AbortController()
const opts = { signal }
const made: string[] = []
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

beforeAll(async () => {
  engine = await startTestEngine()
  await makeTestImage(engine)
  const { socketPath } = engine
  const rights = await readHostRights()
  runtime = createDockerRuntime({ socketPath, owner: 'test', clock: systemClock, log: silentLog, rights })
})
afterAll(async () => {
  await engine[Symbol.asyncDispose]()
})

let count = 0
async function started(more: Partial<ContainerSpec>): Promise<string> {
  const id = await runtime.create(testSpec(testImage, more, `uid-docker-${++count}`), opts)
  made.push(id)
  await runtime.start(id, opts)
  return id
}
async function stateOf(id: string) {
  return (await runtime.list(opts)).find((state) => state.id === id)
}
async function ended(id: string) {
  for (let tries = 0; tries < 400; tries++) {
    const state = await stateOf(id)
    if (state?.status === 'exited') return state
    await wait(50)
  }
  throw new Error(`container did not end: ${JSON.stringify(await stateOf(id))}`)
}
const sh = (script: string) => ({ command: ['sh', '-c', script], args: undefined })

runtimeConformance('docker', async () => ({
  runtime,
  image: testImage,
  waitForever: sh('trap "exit 0" TERM; sleep 600 & wait'),
  printAndFail: sh('echo out; echo err >&2; exit 3'),
  noSuchCommand: { command: ['no-such-program'], args: undefined },
  settle: wait,
}))

test('two owners on one engine do not see each other', async () => {
  const id = await started({})
  const { socketPath } = engine
  const other = createDockerRuntime({ socketPath, owner: 'other', clock: systemClock, log: silentLog })
  expect((await other.list(opts)).map((state) => state.id)).toEqual([])
  const spec = testSpec(testImage, {}, `uid-docker-${count}`)
  await expect(other.create(spec, opts)).rejects.toMatchObject({ code: 'Conflict' })
  await runtime.remove(id, opts)
})

test('a list tells what happened to a container although nobody hears events', async () => {
  const id = await started(sh('sleep 600'))
  const first = await stateOf(id)
  await engine.docker('restart', '-t', '0', id)
  const second = await stateOf(id)
  expect(second?.pid).not.toBe(first?.pid)
  await engine.docker('pause', id)
  expect(await stateOf(id)).toMatchObject({ status: 'running', isPaused: true })
  await engine.docker('unpause', id)
  await engine.docker('kill', id)
  expect(await ended(id)).toMatchObject({ exitCode: 137 })
  await runtime.remove(id, opts)
})

test("a path that holds the engine's own folder can be mounted", async () => {
  const mounts = [{ source: '/', target: '/host', readOnly: true }]
  const id = await started({ ...sh('test -d /host/proc && exit 7'), mounts })
  expect(await ended(id)).toMatchObject({ exitCode: 7 })
})

test('a process killed by its memory limit is told as out of memory', async () => {
  const hog = 'dd if=/dev/zero of=/dev/null bs=200M count=1'
  const id = await started({ ...sh(`exec ${hog}`), memoryLimitBytes: 32 * 1024 * 1024 })
  expect(await ended(id)).toMatchObject({ oomKilled: true, exitCode: 137 })
})

test('a child killed by the memory limit is told as out of memory', async () => {
  const hog = 'dd if=/dev/zero of=/dev/null bs=200M count=1'
  const id = await started({ ...sh(`${hog}; sleep 1; exit 5`), memoryLimitBytes: 32 * 1024 * 1024 })
  expect(await ended(id)).toMatchObject({ oomKilled: true, exitCode: 5 })
})

test('limits, environment, user, working directory, mounts and read-only root reach the container', async () => {
  const script =
    'echo $A; id -u; id -G; pwd; touch /x 2>&1; cat /mnt/a:b/f; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us'
  const source = `${engine.folder}/a:b`
  await engine.exec('mkdir', '-p', source)
  await engine.exec('sh', '-c', `echo hello > '${source}/f'`)
  const id = await started({
    ...sh(script),
    env: [{ name: 'A', value: 'x=y $z' }],
    user: '1000:1001',
    groups: ['2000'],
    workingDir: '/tmp',
    readOnlyRootFilesystem: true,
    mounts: [{ source, target: '/mnt/a:b', readOnly: true }],
    cpuLimitMicro: 250_000,
    memoryLimitBytes: 64 * 1024 * 1024,
  })
  await ended(id)
  const lines = (await readLog(runtime, id, {})).stdout.split('\n')
  expect(lines.slice(0, 4)).toEqual(['x=y $z', '1000', '1001 2000', '/tmp'])
  expect(lines.slice(5, 8)).toEqual(['hello', String(64 * 1024 * 1024), '25000'])
})

test('a mount whose source is missing is refused and not made', async () => {
  const spec = testSpec(testImage, { mounts: [{ source: `${engine.folder}/nope`, target: '/m', readOnly: false }] }, 'uid-mount')
  await expect(runtime.create(spec, opts)).rejects.toMatchObject({
    code: 'InvalidSpec',
    message: expect.stringContaining('nope'),
  })
})

test('a privileged container runs with what the host has', async () => {
  const id = await started({ ...sh('grep CapEff /proc/self/status'), privileged: true })
  expect(await ended(id)).toMatchObject({ exitCode: 0 })
  expect((await readLog(runtime, id, {})).stdout).toMatch(/CapEff:\s+0000[0-9a-f]+/)
})

test('a capability that the host lacks does not keep the container from starting', async () => {
  const id = await started({ ...sh('exit 0'), capabilitiesAdd: ['SYS_RESOURCE', 'CAP_NET_ADMIN'], capabilitiesDrop: ['ALL'] })
  expect(await ended(id)).toMatchObject({ exitCode: 0 })
})

test('followed logs come while the container runs, and end with it', async () => {
  const id = await started(sh('echo one; sleep 1; echo two'))
  const times: number[] = []
  let text = ''
  for await (const { data } of runtime.logs(id, { follow: true, previous: false, timestamps: false }, opts)) {
    times.push(performance.now())
    text += Buffer.from(data).toString()
  }
  expect(text).toBe('one\ntwo\n')
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(500)
})

test('tail, since and timestamps of logs', async () => {
  const id = await started(sh('seq 1 100'))
  const { finishedMs = 0 } = await ended(id)
  expect((await readLog(runtime, id, { tailLines: 2 })).stdout).toBe('99\n100\n')
  expect((await readLog(runtime, id, { tailLines: 0 })).stdout).toBe('')
  expect((await readLog(runtime, id, { sinceMs: finishedMs + 1_000 })).stdout).toBe('')
  expect((await readLog(runtime, id, { tailLines: 1, timestamps: true })).stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z 100\n$/)
})

test('aborting a followed log ends it', async () => {
  const id = await started(sh('echo one; sleep 600'))
  const stop = new AbortController()
  const read = async () => {
    for await (const _ of runtime.logs(id, { follow: true, previous: false, timestamps: false }, { signal: stop.signal })) {
      stop.abort(new Error('enough'))
    }
  }
  await expect(read()).rejects.toThrow('enough')
  await runtime.remove(id, opts)
})

test('exec gives output and exit code', async () => {
  const id = await started(sh('sleep 600'))
  expect(await runExec(runtime, id, ['sh', '-c', 'echo a; echo b >&2; exit 7'])).toEqual({
    stdout: 'a\n',
    stderr: 'b\n',
    code: 7,
  })
  await runtime.remove(id, opts)
})

test('exec carries megabytes of input and its end', async () => {
  const id = await started(sh('sleep 600'))
  const blocks = Array.from({ length: 64 }, () => randomBytes(64 * 1024))
  const input: ExecInput[] = [...blocks.map((data) => ({ type: 'stdin' as const, data })), { type: 'stdinEnd' }]
  const { stdout, code } = await runExec(runtime, id, ['wc', '-c'], { input })
  expect(stdout.trim()).toBe(String(64 * 64 * 1024))
  expect(code).toBe(0)
  await runtime.remove(id, opts)
})

test('exec with a terminal has the size that it was given', async () => {
  const id = await started(sh('sleep 600'))
  const input: ExecInput[] = [
    { type: 'resize', width: 99, height: 33 },
    { type: 'stdin', data: Buffer.from('stty size; exit 4\n') },
  ]
  const { stdout, code } = await runExec(runtime, id, ['sh'], { input, tty: true })
  expect(stdout).toContain('33 99')
  expect(code).toBe(4)
  await runtime.remove(id, opts)
})

test('exec of a command that does not exist says so', async () => {
  const id = await started(sh('sleep 600'))
  const outcome = await runExec(runtime, id, ['no-such-program']).catch((err: unknown) => err)
  expect(JSON.stringify(outcome) + String(outcome)).toMatch(/no-such-program/)
  await runtime.remove(id, opts)
})

test('leaving an exec kills its command', async () => {
  const id = await started(sh('sleep 600'))
  const options = { command: ['sh', '-c', 'echo up; sleep 333'], stdin: false, stdout: true, stderr: true, tty: false }
  const items: AsyncIterable<ExecOutput> = runtime.exec(id, options, none(), opts)
  for await (const _ of items) break
  for (let tries = 0; ; tries++) {
    const { stdout } = await runExec(runtime, id, ['ps'])
    if (!stdout.includes('echo up')) break
    expect(tries, stdout).toBeLessThan(40)
    await wait(50)
  }
  await runtime.remove(id, opts)
})

async function* none(): AsyncGenerator<ExecInput, void, void> {
  await new Promise(() => undefined)
}

test('pulls from registries, open and closed', async () => {
  const script = new URL('testing/fake-registry.ts', import.meta.url).pathname
  const registries = [['5001'], ['5002', 'me:secret']].map((args) =>
    spawn('nsenter', [`--net=/run/netns/${engine.netns}`, process.execPath, script, ...args], { stdio: 'ignore' }),
  )
  const auth = (password: string) => ({ username: 'me', password, serverAddress: '127.0.0.1:5002' })
  const listening = async () => (await engine.exec('ss', '-ltn')).match(/127\.0\.0\.1:500[12] /g)?.length === 2
  for (let tries = 0; tries < 200 && !(await listening()); tries++) await wait(50)
  try {
    await runtime.pull('127.0.0.1:5001/test/image:1', undefined, opts)
    const image = await runtime.image('127.0.0.1:5001/test/image:1', opts)
    expect(image?.user).toBe('1000')
    expect(image?.digests[0]).toMatch(/^127\.0\.0\.1:5001\/test\/image@sha256:/)
    await runtime.pull(image?.digests[0] ?? '', undefined, opts)
    const missing = runtime.pull('127.0.0.1:5001/test/image:2', undefined, opts)
    await expect(missing).rejects.toMatchObject({ code: 'ImageNotFound' })
    const stranger = runtime.pull('127.0.0.1:5002/test/image:1', undefined, opts)
    await expect(stranger).rejects.toMatchObject({
      code: 'ImagePullFailed',
      message: expect.stringContaining('wants another login'),
    })
    const wrong = runtime.pull('127.0.0.1:5002/test/image:1', auth('wrong'), opts)
    await expect(wrong).rejects.toMatchObject({ code: 'ImagePullFailed', message: expect.not.stringContaining('secret') })
    await runtime.pull('127.0.0.1:5002/test/image', auth('secret'), opts)
    expect(await runtime.image('127.0.0.1:5002/test/image', opts)).toBeDefined()
  } finally {
    for (const registry of registries) registry.kill('SIGTERM')
  }
})

test('a pull of what no registry has, and of what is no reference, say so', async () => {
  await expect(runtime.pull('127.0.0.1:1/missing:1', undefined, opts)).rejects.toMatchObject({ code: 'ImagePullFailed' })
  await expect(runtime.pull('UPPER//case', undefined, opts)).rejects.toMatchObject({ code: 'InvalidSpec' })
})

test('what is remembered of an image is right when its name leads elsewhere, and when it is gone', async () => {
  await using _ = await hearEvents(runtime)
  const name = 'skiff-test/moving:1'
  const variables = async (): Promise<readonly string[] | undefined> => (await runtime.image(name, opts))?.variables
  const becomes = async (what: readonly string[] | undefined): Promise<void> => {
    for (let tries = 0; tries < 100 && JSON.stringify(await variables()) !== JSON.stringify(what); tries++) await wait(20)
    expect(await variables()).toEqual(what)
  }
  const made = (await engine.docker('create', testImage)).trim()
  for (const variable of ['FIRST', 'SECOND']) {
    await engine.docker('commit', '--change', `ENV ${variable}=1`, made, `skiff-test/${variable.toLowerCase()}`)
    await engine.docker('tag', `skiff-test/${variable.toLowerCase()}`, name)
    await becomes([...((await runtime.image(testImage, opts))?.variables ?? []), variable])
  }
  await engine.docker('rmi', name)
  await becomes(undefined)
  await engine.docker('rm', made)
})

test('after the engine restarted events go on after a gap, and the container still runs', async () => {
  const id = await started(sh('sleep 600'))
  const pid = (await stateOf(id))?.pid
  const listening = new AbortController()
  const seen: ContainerEvent[] = []
  const reading = (async () => {
    for await (const event of runtime.events({ signal: listening.signal })) seen.push(event)
  })().catch(() => undefined)
  const gaps = () => seen.filter((event) => event.type === 'gap').length
  for (let tries = 0; tries < 100 && gaps() < 1; tries++) await wait(20)
  await engine.restart()
  for (let tries = 0; tries < 250 && gaps() < 2; tries++) await wait(20)
  expect(gaps()).toBeGreaterThanOrEqual(2)
  expect(await stateOf(id)).toMatchObject({ status: 'running', pid })
  const before = seen.length
  await runtime.remove(id, opts)
  for (let tries = 0; tries < 250 && seen.length === before; tries++) await wait(20)
  expect(seen.at(-1)).toMatchObject({ type: 'changed', containerId: id })
  listening.abort(new Error('enough'))
  await reading
})
