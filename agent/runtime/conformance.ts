import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ExecInput, ExecOutput, LogOptions } from '../../api/meta/streams.ts'
import { type ContainerEvent, type ContainerIdentity, type ContainerSpec, type Runtime, RuntimeError } from './runtime.ts'

export interface ConformanceSubject {
  readonly runtime: Runtime
  /** An image that is there. */
  readonly image: string
  /** How to make a container run on until it gets SIGTERM, and then end with 0. */
  readonly waitForever: Words
  /** How to make one print `out` to stdout and `err` to stderr and end with code 3. */
  readonly printAndFail: Words
  /** How to make one whose command does not exist. */
  readonly noSuchCommand: Words
  /** Advances virtual time; real runtimes just wait. */
  settle(ms: number): Promise<void>
}
export type Words = Pick<ContainerSpec, 'command' | 'args'>

const limitMs = 20_000
const { signal } = new AbortController()
const opts = { signal }

/** What every Runtime promises. Call inside a test file; `make` may give the same runtime each time. */
export function runtimeConformance(name: string, make: () => Promise<ConformanceSubject>): void {
  let subject: ConformanceSubject
  let runtime: Runtime
  let count = 0
  const made: string[] = []

  beforeEach(async () => {
    subject = await make()
    runtime = subject.runtime
  })
  afterEach(async () => {
    for (const id of made.splice(0)) await runtime.remove(id, opts)
  })

  const create = async (words: Words, more: Partial<ContainerSpec> = {}): Promise<string> => {
    const id = await runtime.create(testSpec(subject.image, { ...words, ...more }, `uid-${++count}`), opts)
    made.push(id)
    return id
  }
  const stateOf = async (id: string) => (await runtime.list(opts)).find((state) => state.id === id)
  /** Looks again until `isSo` holds, moving time on. */
  const eventually = async (id: string, isSo: (state: Awaited<ReturnType<typeof stateOf>>) => boolean) => {
    for (let waited = 0; waited < limitMs; waited += 50) {
      const state = await stateOf(id)
      if (isSo(state)) return state
      await subject.settle(50)
    }
    throw new Error(`container ${id} did not get there: ${JSON.stringify(await stateOf(id))}`)
  }
  const ended = (id: string) => eventually(id, (state) => state?.status === 'exited')

  test(`${name}: says what the engine is`, async () => {
    const info = await runtime.info(opts)
    expect(info.name).not.toBe('')
    expect(info.version).not.toBe('')
    expect(info.cpus).toBeGreaterThan(0)
    expect(info.memoryBytes).toBeGreaterThan(0)
  })

  test(`${name}: a created container carries its identity and annotations and does not run`, async () => {
    const spec = testSpec(subject.image, { ...subject.waitForever, annotations: { ip: '10.1.2.3' } }, 'uid-created')
    const id = await runtime.create(spec, opts)
    made.push(id)
    expect(await stateOf(id)).toMatchObject({
      id,
      identity: spec.identity,
      status: 'created',
      image: subject.image,
      exitCode: undefined,
      startedMs: undefined,
      oomKilled: false,
      annotations: { ip: '10.1.2.3' },
    })
  })

  test(`${name}: creating the same container again gives the one that is there`, async () => {
    const spec = testSpec(subject.image, subject.waitForever, 'uid-twice')
    const ids = await Promise.all([runtime.create(spec, opts), runtime.create(spec, opts), runtime.create(spec, opts)])
    made.push(ids[0])
    expect(new Set(ids).size).toBe(1)
    expect((await runtime.listPod('uid-twice', opts)).length).toBe(1)
  })

  test(`${name}: the next attempt is another container`, async () => {
    const first = await create(subject.waitForever, { identity: identityOf('uid-attempts', 0) })
    const second = await create(subject.waitForever, { identity: identityOf('uid-attempts', 1) })
    expect(second).not.toBe(first)
    expect((await runtime.listPod('uid-attempts', opts)).map((state) => state.identity.attempt).sort()).toEqual([0, 1])
  })

  test(`${name}: one pod's containers are listed without the others`, async () => {
    const mine = await create(subject.waitForever, { identity: identityOf('uid-mine', 0) })
    await create(subject.waitForever, { identity: identityOf('uid-other', 0) })
    expect((await runtime.listPod('uid-mine', opts)).map((state) => state.id)).toEqual([mine])
    expect(await runtime.listPod('uid-nobody', opts)).toEqual([])
  })

  test(`${name}: one container is looked at alone, and one that is gone is none`, async () => {
    const spec = testSpec(subject.image, { ...subject.waitForever, annotations: { ip: '10.1.2.3' } }, 'uid-alone')
    const id = await runtime.create(spec, opts)
    made.push(id)
    expect(await runtime.state(id, opts)).toMatchObject({ id, identity: spec.identity, status: 'created' })
    await runtime.start(id, opts)
    expect(await runtime.state(id, opts)).toEqual(await stateOf(id))
    await runtime.remove(id, opts)
    expect(await runtime.state(id, opts)).toBeUndefined()
  })

  test(`${name}: a started container runs, and starting it again is fine`, async () => {
    const id = await create(subject.waitForever)
    await runtime.start(id, opts)
    await runtime.start(id, opts)
    const state = await stateOf(id)
    expect(state).toMatchObject({ status: 'running', exitCode: undefined, finishedMs: undefined })
    expect(state?.startedMs).toBeGreaterThan(0)
  })

  test(`${name}: stop asks first, and is fine with what has ended or gone`, async () => {
    const id = await create(subject.waitForever)
    await runtime.start(id, opts)
    await runtime.stop(id, 10_000, opts)
    expect(await stateOf(id)).toMatchObject({ status: 'exited', exitCode: 0 })
    await runtime.stop(id, 10_000, opts)
    await runtime.remove(id, opts)
    await runtime.stop(id, 10_000, opts)
  })

  test(`${name}: a container that fails keeps its exit code and times`, async () => {
    const id = await create(subject.printAndFail)
    await runtime.start(id, opts)
    const state = await ended(id)
    expect(state).toMatchObject({ exitCode: 3, oomKilled: false, error: undefined })
    expect(state?.finishedMs).toBeGreaterThanOrEqual(state?.startedMs ?? Number.POSITIVE_INFINITY)
  })

  test(`${name}: remove ends a running container, and is fine with one that is gone`, async () => {
    const id = await create(subject.waitForever)
    await runtime.start(id, opts)
    await runtime.remove(id, opts)
    expect(await stateOf(id)).toBeUndefined()
    await runtime.remove(id, opts)
  })

  test(`${name}: a command that does not exist cannot run, and the state says why`, async () => {
    const id = await create(subject.noSuchCommand)
    await expect(runtime.start(id, opts)).rejects.toMatchObject({ name: 'RuntimeError', code: 'CannotRun' })
    const state = await stateOf(id)
    expect(['exited', 'created']).toContain(state?.status)
    expect(state?.error).toMatch(/not found|no such file/i)
    expect(state?.exitCode).toBeGreaterThan(0)
  })

  test(`${name}: starting what is not there is NotFound`, async () => {
    await expect(runtime.start('0123456789abcdef', opts)).rejects.toMatchObject({ code: 'NotFound' })
  })

  test(`${name}: an image that is not there is undefined, and a container of it cannot be created`, async () => {
    expect(await runtime.image('skiff-test/missing:1', opts)).toBeUndefined()
    const spec = testSpec('skiff-test/missing:1', subject.waitForever, 'uid-missing')
    await expect(runtime.create(spec, opts)).rejects.toMatchObject({ code: 'ImageNotFound' })
  })

  test(`${name}: an image that is there is found by its tag and in the list`, async () => {
    const image = await runtime.image(subject.image, opts)
    expect(image?.tags).toContain(subject.image)
    expect((await runtime.images(opts)).map(({ id }) => id)).toContain(image?.id)
  })

  test(`${name}: events tell of changes, after a gap at the start`, async () => {
    const listening = new AbortController()
    const seen: ContainerEvent[] = []
    const reading = (async () => {
      for await (const event of runtime.events({ signal: listening.signal })) seen.push(event)
    })()
    const settled = reading.catch((err: unknown) => err)
    const until = async (isSo: () => boolean): Promise<void> => {
      for (let waited = 0; waited < limitMs && !isSo(); waited += 20) await subject.settle(20)
      expect(isSo(), JSON.stringify(seen)).toBe(true)
    }
    await until(() => seen[0]?.type === 'gap')
    const id = await create(subject.printAndFail)
    const changes = () => seen.filter((event) => event.type === 'changed' && event.containerId === id).length
    await until(() => changes() > 0)
    const before = changes()
    await runtime.start(id, opts)
    await until(() => changes() > before)
    listening.abort(new Error('enough'))
    expect(await settled).toMatchObject({ message: 'enough' })
  })

  test(`${name}: the log keeps stdout and stderr apart`, async () => {
    const id = await create(subject.printAndFail)
    await runtime.start(id, opts)
    await ended(id)
    const log = await readLog(runtime, id, {})
    expect(log).toEqual({ stdout: 'out\n', stderr: 'err\n' })
    expect((await readLog(runtime, id, { follow: true })).stdout).toBe('out\n')
  })

  test(`${name}: a log can be cut to bytes`, async () => {
    const id = await create(subject.printAndFail)
    await runtime.start(id, opts)
    await ended(id)
    const { stdout, stderr } = await readLog(runtime, id, { limitBytes: 5 })
    expect(stdout.length + stderr.length).toBe(5)
  })

  test(`${name}: an aborted call rejects with the signal's reason`, async () => {
    const aborted = AbortSignal.abort(new Error('stop it'))
    await expect(runtime.list({ signal: aborted })).rejects.toThrow('stop it')
  })
}

export function identityOf(podUid: string, attempt: number): ContainerIdentity {
  return { podUid, podNamespace: 'default', podName: 'web', role: 'app', container: 'main', attempt, specHash: 'abc' }
}

export function testSpec(image: string, more: Partial<ContainerSpec>, podUid: string): ContainerSpec {
  return {
    identity: identityOf(podUid, 0),
    image,
    command: undefined,
    args: undefined,
    env: [],
    workingDir: undefined,
    mounts: [],
    sandboxId: undefined,
    processesOf: undefined,
    hostNetwork: false,
    hostname: undefined,
    cpuShares: undefined,
    cpuLimitMicro: undefined,
    memoryLimitBytes: undefined,
    stdin: false,
    tty: false,
    user: undefined,
    groups: [],
    privileged: false,
    readOnlyRootFilesystem: false,
    capabilitiesAdd: [],
    capabilitiesDrop: [],
    noNewPrivileges: false,
    shmBytes: undefined,
    sysctls: {},
    annotations: {},
    ...more,
  }
}

export async function readLog(runtime: Runtime, id: string, options: Partial<LogOptions>) {
  const text = { stdout: '', stderr: '' }
  const all: LogOptions = { follow: false, previous: false, timestamps: false, ...options }
  for await (const { stream, data } of runtime.logs(id, all, opts)) text[stream] += Buffer.from(data).toString()
  return text
}

export interface ExecResult {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

export async function runExec(
  runtime: Runtime,
  id: string,
  command: readonly string[],
  { input = [], tty = false }: { input?: readonly ExecInput[]; tty?: boolean } = {},
): Promise<ExecResult> {
  const result = { stdout: '', stderr: '', code: -1 }
  const options = { command, stdin: input.length > 0, stdout: true, stderr: true, tty }
  const items: AsyncIterable<ExecOutput> = runtime.exec(id, options, each(input), opts)
  for await (const item of items) {
    if (item.type === 'exit') result.code = item.code
    else result[item.type] += Buffer.from(item.data).toString()
  }
  if (result.code < 0) throw new RuntimeError('Unavailable', 'the exec had no exit code')
  return result
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T, void, void> {
  yield* items
}
