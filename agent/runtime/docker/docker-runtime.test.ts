import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeClock } from '../../../lib/clock.ts'
import { silentLog } from '../../../lib/log.ts'
import { createMetrics } from '../../../lib/metrics.ts'
import { testSpec } from '../conformance.ts'
import type { ContainerEvent, Runtime } from '../runtime.ts'
import { createDockerRuntime } from './docker-runtime.ts'
import { parseEvent } from './events.ts'
import { rightsOf } from './host-rights.ts'
import { withTag } from './images.ts'
import { OutOfMemory } from './out-of-memory.ts'
import { containerState } from './state.ts'
import { hearEvents } from './testing/hear-events.ts'

/** An engine that answers as the test says. */
let server: Server
let answer: (req: IncomingMessage, res: ServerResponse) => void
let folder: string
let clock: FakeClock
let runtime: Runtime
const opts = { signal: new AbortController().signal }

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skiff-fake-engine-'))
  const socketPath = join(folder, 'sock')
  server = createServer((req, res) => answer(req, res))
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  clock = new FakeClock()
  runtime = createDockerRuntime({ socketPath, owner: 'test', clock, log: silentLog })
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rm(folder, { recursive: true })
})
const json = (res: ServerResponse, value: unknown, status = 200) => {
  res.writeHead(status, { 'Content-Type': 'application/json' })
  res.end(JSON.stringify(value))
}
/** From now on the engine begins its answers and does not end them. */
function holdOpen(): readonly ServerResponse[] {
  const connections: ServerResponse[] = []
  answer = (_, res) => {
    res.writeHead(200)
    res.flushHeaders()
    connections.push(res)
  }
  return connections
}
async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !isSo(); tries++) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(isSo()).toBe(true)
}

test.each<[string, (of: Runtime) => Promise<unknown>, number]>([
  ['list', (of) => of.list(opts), 15_000],
  ['info', (of) => of.info(opts), 15_000],
  ['create', (of) => of.create(testSpec('i', {}, 'u'), opts), 60_000],
  ['start', (of) => of.start('c', opts), 120_000],
  ['stop', (of) => of.stop('c', 10_000, opts), 40_000],
  ['remove', (of) => of.remove('c', opts), 60_000],
  ['image', (of) => of.image('i', opts), 15_000],
  ['pull', (of) => of.pull('i', undefined, opts), 60_000],
])('an engine that accepts and never answers fails %s in time', async (_, call, ms) => {
  let isAsked = false
  answer = () => {
    isAsked = true
  }
  const outcome = call(runtime).catch((err: unknown) => err)
  await until(() => isAsked)
  clock.step(ms)
  expect(await outcome).toMatchObject({ name: 'RuntimeError', message: expect.stringMatching(/no answer within/) })
})

test('a pull that stands still is given up', async () => {
  answer = (_, res) => {
    res.writeHead(200)
    res.write('{"status":"Pulling"}\n')
  }
  const outcome = runtime.pull('i', undefined, opts).catch((err: unknown) => err)
  for (let tries = 0; tries < 20; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    clock.step(30_000)
  }
  expect(await outcome).toMatchObject({ code: 'ImagePullFailed', message: expect.stringMatching(/no progress/) })
})

test('a pull that fails under way says so although it began well', async () => {
  answer = (_, res) => {
    res.writeHead(200)
    res.end('{"status":"Pulling"}\n{"errorDetail":{"message":"manifest for i:latest not found: manifest unknown"},"error":"x"}\n')
  }
  await expect(runtime.pull('i', undefined, opts)).rejects.toMatchObject({ code: 'ImageNotFound' })
})

test('what was pulled is asked for, although no event has told of it', async () => {
  let id = 'before'
  answer = (req, res) => {
    if (req.url?.includes('/events') === true) {
      res.writeHead(200)
      res.flushHeaders()
    } else if (req.method === 'POST') {
      id = 'after'
      json(res, { status: 'Download complete' })
    } else json(res, { Id: id })
  }
  await using _ = await hearEvents(runtime)
  expect((await runtime.image('i', opts))?.id).toBe('before')
  id = 'nobody asks for this one'
  expect((await runtime.image('i', opts))?.id).toBe('before')
  await runtime.pull('i', undefined, opts)
  expect((await runtime.image('i', opts))?.id).toBe('after')
})

test('a pull without a tag asks for latest, with the login it was given', async () => {
  let asked = ''
  let login = ''
  answer = (req, res) => {
    asked = req.url ?? ''
    login = String(req.headers['x-registry-auth'] ?? '')
    json(res, {})
  }
  await runtime.pull('registry.example:5000/a/b', { username: 'u', password: 'p', serverAddress: 'registry.example:5000' }, opts)
  expect(decodeURIComponent(asked)).toContain('fromImage=registry.example:5000/a/b:latest')
  expect(JSON.parse(Buffer.from(login, 'base64url').toString())).toMatchObject({
    username: 'u',
    password: 'p',
    serveraddress: 'registry.example:5000',
  })
})

test('calls are counted by their outcome', async () => {
  const metrics = createMetrics('test_')
  const counted = createDockerRuntime({ socketPath: join(folder, 'sock'), owner: 'test', clock, log: silentLog, metrics })
  answer = (_, res) => json(res, [])
  await counted.list(opts)
  answer = (_, res) => json(res, { message: 'no' }, 500)
  await expect(counted.list(opts)).rejects.toMatchObject({ code: 'Unavailable' })
  answer = (_, res) => res.destroy()
  await expect(counted.list(opts)).rejects.toMatchObject({ code: 'Unavailable' })
  const { body } = await metrics.render()
  for (const outcome of ['ok', 'refused', 'failed']) expect(body).toContain(`test_engine_calls_total{outcome="${outcome}"} 1`)
})

test('a container that goes between list and look is left out', async () => {
  answer = (req, res) => {
    if (req.url?.includes('/containers/json')) return json(res, [{ Id: 'gone' }])
    json(res, { message: 'No such container: gone' }, 404)
  }
  expect(await runtime.list(opts)).toEqual([])
})

test('a create whose answer was lost is found by its name', async () => {
  const spec = testSpec('i', {}, 'uid-1')
  let labels: unknown
  answer = (req, res) => {
    if (req.method !== 'POST') return json(res, { Id: 'c1', State: { Status: 'created' }, Config: { Labels: labels } })
    let body = ''
    req.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    req.on('end', () => {
      if (labels !== undefined) return json(res, { message: 'Conflict. The container name "/x" is already in use' }, 409)
      labels = JSON.parse(body).Labels
      res.destroy()
    })
  }
  await expect(runtime.create(spec, opts)).rejects.toMatchObject({ code: 'Unavailable' })
  expect(await runtime.create(spec, opts)).toBe('c1')
})

test('events come again after the engine went, each time after a gap', async () => {
  const connections = holdOpen()
  const stop = new AbortController()
  const seen: ContainerEvent[] = []
  const reading = (async () => {
    for await (const event of runtime.events({ signal: stop.signal })) seen.push(event)
  })().catch((err: unknown) => err)
  await until(() => seen.length === 1)
  const event = (id: string) =>
    `${JSON.stringify({ Action: 'die', Actor: { ID: id, Attributes: { 'io.skiff.owner': 'test', 'io.skiff.pod-uid': 'u' } } })}\n`
  connections[0]?.write(event('a') + event('b').slice(0, 10))
  await until(() => seen.length === 2)
  connections[0]?.write(event('b').slice(10))
  await until(() => seen.length === 3)
  connections[0]?.destroy()
  for (let tries = 0; tries < 100 && connections.length < 2; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    clock.step(500)
  }
  await until(() => seen.length === 4)
  expect(seen.map((one) => (one.type === 'gap' ? 'gap' : one.containerId))).toEqual(['gap', 'a', 'b', 'gap'])
  stop.abort(new Error('enough'))
  expect(await reading).toMatchObject({ message: 'enough' })
})

test('that a container was made, renamed or started is told as a beginning, but not when it has ended since', async () => {
  const connections = holdOpen()
  const stop = new AbortController()
  const seen: ContainerEvent[] = []
  const read = Promise.withResolvers<void>()
  const reading = (async () => {
    for await (const event of runtime.events({ signal: stop.signal })) {
      seen.push(event)
      if (seen.length === 4) await read.promise // Others come meanwhile.
    }
  })().catch((err: unknown) => err)
  await until(() => connections.length === 1)
  const say = (Action: string, ID: string) =>
    connections[0]?.write(
      `${JSON.stringify({ Action, Actor: { ID, Attributes: { 'io.skiff.owner': 'test', 'io.skiff.pod-uid': 'u' } } })}\n`,
    )
  for (const [index, action] of ['create', 'start', 'die'].entries()) {
    say(action, 'a')
    await until(() => seen.length === index + 2)
  }
  for (const action of ['die', 'rename', 'start']) say(action, 'b')
  say('rename', 'c')
  say('start', 'c')
  await new Promise((resolve) => setTimeout(resolve, 100))
  read.resolve()
  await until(() => seen.length === 6)
  const told = seen.map((one) => (one.type === 'gap' ? 'gap' : `${one.containerId} ${one.isBeginning === true}`))
  expect(told).toEqual(['gap', 'a true', 'a true', 'a false', 'b false', 'c true'])
  stop.abort(new Error('enough'))
  await reading
})

test.each([
  ['', undefined],
  ['{"half":', undefined],
  ['{"Action":"die"}', undefined],
  ['{"Action":"die","Actor":{"ID":"c","Attributes":{}}}', undefined],
  ['{"Action":"die","Actor":{"ID":"c","Attributes":{"io.skiff.owner":"other","io.skiff.pod-uid":"u"}}}', undefined],
  ['{"Type":"image","Action":"tag","Actor":{"ID":"sha256:1","Attributes":{"name":"web:1"}}}', 'image'],
  [
    '{"Action":"oom","Actor":{"ID":"c","Attributes":{"io.skiff.owner":"test","io.skiff.pod-uid":"u"}},"time":5}',
    { action: 'oom', containerId: 'c', podUid: 'u', timeMs: 5_000 },
  ],
])('the event line %s is %j', (line, expected) => {
  expect(parseEvent(line, 'test')).toEqual(expected)
})

test.each([
  ['nothing', {}],
  ['null', null],
  ['a text', 'x'],
  ['no labels', { Id: 'c', State: {} }],
])('an inspect of %s is no container of ours', (_, inspect) => {
  expect(containerState(inspect, () => false)).toBeUndefined()
})

test('an inspect with missing, odd and unknown fields is read as far as it goes', () => {
  const labels = { 'io.skiff.pod-uid': 'u', 'io.skiff.role': 'app', 'io.skiff.container': 'c', 'io.skiff.attempt': '0' }
  const state = { Status: 'dead', ExitCode: 'x', StartedAt: '0001-01-01T00:00:00Z', Pid: -1 }
  expect(containerState({ Id: 'c', Config: { Labels: labels }, State: state }, () => true)).toMatchObject({
    status: 'exited',
    exitCode: -1,
    startedMs: undefined,
    finishedMs: undefined,
    oomKilled: true,
    pid: undefined,
  })
})

test('a run so short that the engine says it ended before it began has no negative length', () => {
  const labels = { 'io.skiff.pod-uid': 'u', 'io.skiff.role': 'app', 'io.skiff.container': 'c', 'io.skiff.attempt': '0' }
  const times = { StartedAt: '2026-01-01T00:00:00.002999999Z', FinishedAt: '2026-01-01T00:00:00.001Z' }
  const state = containerState(
    { Id: 'c', Config: { Labels: labels }, State: { Status: 'exited', ExitCode: 0, ...times } },
    () => false,
  )
  expect(state?.finishedMs).toBe(state?.startedMs)
})

test('a host’s rights are those of its bounding set', () => {
  expect(rightsOf('CapBnd:\t000001ffffffffff\n').missingCapabilities).toEqual([])
  expect(rightsOf('CapBnd:\t000001fffeffffff\n').missingCapabilities).toEqual(['SYS_RESOURCE'])
  expect(rightsOf('CapBnd:\t0000003fffffffff\n').missingCapabilities, 'an older kernel').toEqual([])
  expect(rightsOf('').missingCapabilities).toEqual([])
})

test.each([
  ['a', 'a:latest'],
  ['a:1', 'a:1'],
  ['r:5000/a', 'r:5000/a:latest'],
  ['r:5000/a:1', 'r:5000/a:1'],
  ['a@sha256:0', 'a@sha256:0'],
])('the image %s is pulled as %s', (ref, full) => {
  expect(withTag(ref)).toBe(full)
})

test('no more than ten thousand kills for want of memory are remembered', () => {
  const memory = new OutOfMemory()
  for (let id = 0; id <= 10_000; id++) memory.add(String(id))
  expect([memory.has('0'), memory.has('1'), memory.has('10000')]).toEqual([false, true, true])
})
