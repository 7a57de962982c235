import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeClock } from '../../../lib/clock.ts'
import { silentLog } from '../../../lib/log.ts'
import type { Runtime } from '../runtime.ts'
import { createDockerRuntime } from './docker-runtime.ts'
import { rowOf } from './seen-containers.ts'

/** An engine with one container. */
let server: Server
let folder: string
let clock: FakeClock
let runtime: Runtime
let row: Record<string, unknown>
let inspects: number
let events: ServerResponse | undefined
let beforeInspect: () => Promise<void>
const opts = { signal: new AbortController().signal }
const labels = {
  'io.skiff.owner': 'test',
  'io.skiff.pod-uid': 'u',
  'io.skiff.role': 'app',
  'io.skiff.container': 'c',
  'io.skiff.attempt': '0',
}
const id = 'ab00'

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skiff-seen-'))
  row = { Id: id, Names: ['/a'], Image: 'i', ImageID: 'sha', Labels: labels, State: 'running', Status: 'Up 3 minutes' }
  inspects = 0
  events = undefined
  beforeInspect = async () => undefined
  server = createServer((req, res) => void answer(req.url ?? '', res))
  const socketPath = join(folder, 'sock')
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  clock = new FakeClock()
  runtime = createDockerRuntime({ socketPath, owner: 'test', clock, log: silentLog })
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rm(folder, { recursive: true })
})

async function answer(url: string, res: ServerResponse): Promise<void> {
  const json = (value: unknown): void => void res.end(JSON.stringify(value))
  if (url.includes('/events')) {
    res.writeHead(200)
    res.flushHeaders()
    events = res
    return
  }
  if (url.includes('/containers/json')) return json([row])
  const count = ++inspects
  const state = { Status: row['State'], ExitCode: 0, Pid: 10 + count, StartedAt: '2026-01-01T00:00:00Z' }
  await beforeInspect()
  json({ Id: id, Config: { Labels: labels }, State: state })
}
const pid = async (): Promise<number | undefined> => (await runtime.list(opts))[0]?.pid
async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !isSo(); tries++) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(isSo()).toBe(true)
}

/** Reads events, from the gap that they begin with on. */
async function listen(): Promise<{ count: number } & AsyncDisposable> {
  const stop = new AbortController()
  const heard = {
    count: 0,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await reading
    },
  }
  const reading = (async () => {
    for await (const _ of runtime.events({ signal: stop.signal })) heard.count++
  })().catch(() => undefined)
  await until(() => heard.count === 1)
  return heard
}

test('a container that nothing has happened to is inspected once for many lists', async () => {
  expect([await pid(), await pid(), await pid(), inspects]).toEqual([11, 11, 11, 1])
  row = { ...row, Status: 'Up 4 minutes' }
  expect([await pid(), inspects]).toEqual([11, 1])
})

test.each([
  ['its state', { State: 'paused', Status: 'Up 3 minutes (Paused)' }],
  ['its health', { Status: 'Up 3 minutes (unhealthy)' }],
  ['an end', { State: 'exited', Status: 'Exited (0) 3 minutes ago' }],
  ['its name', { Names: ['/b'] }],
  ['a label', { Labels: { ...labels, more: '1' } }],
  ['its image', { Image: 'sha256:1' }],
  ['a start a moment ago', { Status: 'Up 5 seconds' }],
  ['a start a minute ago', { Status: 'Up About a minute' }],
  ['words that are not understood', { Status: 'Up, and well' }],
])('a list that says something new of a container has it inspected: %s', async (_, news) => {
  await pid()
  row = { ...row, ...news }
  await pid()
  expect(inspects).toBe(2)
})

test('another exit code is something new', async () => {
  row = { ...row, State: 'exited', Status: 'Exited (0) 2 hours ago' }
  await pid()
  row = { ...row, Status: 'Exited (1) 2 hours ago' }
  await pid()
  expect(inspects).toBe(2)
})

test('one pod is always looked at anew, which the next list knows', async () => {
  await pid()
  const [state] = await runtime.listPod('u', opts)
  expect([state?.pid, await pid(), inspects]).toEqual([12, 12, 2])
})

test('however quiet it is, it is inspected again within five minutes', async () => {
  await pid()
  clock.step(149_000)
  expect(await pid()).toBe(11)
  clock.step(151_000)
  expect(await pid()).toBe(12)
})

test('a container that was gone from a list is forgotten', async () => {
  await pid()
  const was = row
  row = { ...row, Id: 'cd00' }
  await runtime.list(opts)
  row = was
  await runtime.list(opts)
  expect(inspects).toBe(3)
})

test('an event has its container inspected, and so does the loss of the events', async () => {
  await using heard = await listen()
  await pid()
  events?.write(`${JSON.stringify({ Action: 'die', Actor: { ID: id, Attributes: labels } })}\n`)
  await until(() => heard.count === 2)
  expect([await pid(), await pid(), inspects]).toEqual([12, 12, 2])
  events?.destroy()
  for (let tries = 0; tries < 100 && heard.count < 3; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    clock.step(500)
  }
  expect([heard.count, await pid()]).toEqual([3, 13])
})

test('an inspection that an event has overtaken is used once, and not kept', async () => {
  await using heard = await listen()
  beforeInspect = async () => {
    events?.write(`${JSON.stringify({ Action: 'die', Actor: { ID: id, Attributes: labels } })}\n`)
    await until(() => heard.count === 2)
  }
  expect(await pid()).toBe(11)
  beforeInspect = async () => undefined
  expect([await pid(), await pid()]).toEqual([12, 12])
})

test.each([
  ['running', 'Up About an hour', true],
  ['running', 'Up 2 minutes', true],
  ['running', 'Up 1 minutes', false],
  ['running', 'Up Less than a second', false],
  ['running', 'Up 59 seconds (health: starting)', false],
  ['running', 'Up 3 weeks (healthy)', true],
  ['exited', 'Exited (137) 4 months ago', true],
  ['exited', 'Exited (0) 10 seconds ago', false],
  ['created', 'Created', false],
  ['restarting', 'Restarting (1) 3 minutes ago', false],
  ['removing', 'Removal In Progress', false],
  ['dead', 'Dead', false],
])('a container of state %s that is "%s" can be remembered: %s', (State, Status, expected) => {
  expect(rowOf({ Id: 'c', State, Status }).print !== undefined).toBe(expected)
})
