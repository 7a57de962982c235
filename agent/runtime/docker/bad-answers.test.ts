import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../lib/clock.ts'
import { silentLog } from '../../../lib/log.ts'
import { testSpec } from '../conformance.ts'
import { type Runtime, RuntimeError } from '../runtime.ts'
import { createDockerRuntime } from './docker-runtime.ts'
import { parseEvent } from './events.ts'
import { identityOf, labelsOf } from './labels.ts'
import { containerState } from './state.ts'

// Row 22 of the list of bad inputs: what an engine may answer.

const identity = testSpec('i', {}, 'uid-1').identity
const sound = {
  Id: 'c'.repeat(64),
  Created: '2026-01-01T00:00:00Z',
  Image: 'sha256:1',
  Config: { Labels: labelsOf('test', identity, {}), Image: 'i', Tty: false },
  State: {
    Status: 'running',
    Running: true,
    Pid: 7,
    ExitCode: 0,
    StartedAt: '2026-01-01T00:00:01Z',
    FinishedAt: '0001-01-01T00:00:00Z',
  },
}
const stateOf = (state: object) => containerState({ ...sound, State: { ...sound.State, ...state } }, () => false)

test('odd values of an engine are mapped', () => {
  expect(stateOf({})).toMatchObject({ status: 'running', exitCode: undefined, finishedMs: undefined, pid: 7 })
  expect(stateOf({ Status: 'exited', ExitCode: -1 })).toMatchObject({ status: 'exited', exitCode: -1, pid: undefined })
  expect(stateOf({ Status: 'exited', ExitCode: 'x', StartedAt: 'yesterday', FinishedAt: '0001-01-01T00:00:00Z' })).toMatchObject({
    exitCode: -1,
    startedMs: undefined,
    finishedMs: undefined,
  })
  expect(stateOf({ Status: 'running', Pid: -4 })).toMatchObject({ pid: undefined })
  expect(stateOf({ Status: 'hibernating', Running: true })).toMatchObject({ status: 'running' })
})

test('a state that nobody knows is not taken for the end of the container', () => {
  for (const state of [
    { Status: 'gone fishing', Running: false },
    { Status: undefined, Running: undefined },
  ])
    expect(() => stateOf(state)).toThrow(RuntimeError)
})

/** Any JSON in the place of any part of a sound answer. */
const damaged = fc
  .tuple(
    fc.constantFrom('Id', 'Created', 'Image', 'Config', 'State'),
    fc.constantFrom('', ...Object.keys(sound.State), 'Labels'),
    fc.jsonValue(),
  )
  .map(([part, inner, value]): unknown => {
    const at: unknown = sound[part as keyof typeof sound]
    return { ...sound, [part]: typeof at === 'object' && inner !== '' ? { ...at, [inner]: value } : value }
  })

test('whatever stands in an answer, it is a state, no container of ours, or an error of the engine', () => {
  const seen = { state: 0, foreign: 0, refused: 0 }
  fc.assert(
    fc.property(damaged, (inspect) => {
      try {
        const state = containerState(inspect, () => false)
        if (state === undefined) seen.foreign++
        else {
          seen.state++
          expect(['created', 'running', 'exited']).toContain(state.status)
          for (const ms of [state.createdMs, state.startedMs ?? 0, state.finishedMs ?? 0]) expect(Number.isFinite(ms)).toBe(true)
        }
      } catch (err) {
        expect(err).toBeInstanceOf(RuntimeError)
        seen.refused++
      }
    }),
    { numRuns: 2000, seed: 22 },
  )
  expect(Math.min(seen.state, seen.foreign, seen.refused)).toBeGreaterThan(0)
})

test('labels of any kind are an identity or none, and events of any kind an event or none', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.string()), (labels) => {
      expect(identityOf({ ...labels })).toBeUndefined()
    }),
  )
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      expect(parseEvent(line, 'test')).toBeUndefined()
    }),
  )
  expect(identityOf({ ...labelsOf('test', identity, {}), 'io.skiff.attempt': 'x' })).toBeUndefined()
})

let server: Server
let answer: (res: ServerResponse) => void
let folder: string
let runtime: Runtime
const opts = { signal: new AbortController().signal }
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skiff-odd-engine-'))
  server = createServer((req, res) => {
    req.resume()
    answer(res)
  })
  await new Promise<void>((resolve) => server.listen(join(folder, 'sock'), resolve))
  runtime = createDockerRuntime({ socketPath: join(folder, 'sock'), owner: 'test', clock: systemClock, log: silentLog })
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rm(folder, { recursive: true })
})

const answers: readonly (readonly [string, (res: ServerResponse) => void])[] = [
  ['an empty body', (res) => void res.end()],
  ['no JSON', (res) => void res.end('<html>')],
  ['JSON cut off', (res) => void res.end('[{"Id":"c1"')],
  ['null', (res) => void res.end('null')],
  ['a text', (res) => void res.end('"x"')],
  ['an object', (res) => void res.end('{}')],
  ['a list of nonsense', (res) => void res.end('[null, 1, "x", {"Id": 7}, []]')],
  ['a list with 10 MB of labels', (res) => void res.end(JSON.stringify([{ Id: 'x', Labels: { a: 'x'.repeat(10_000_000) } }]))],
  ['a list of 50,000 levels', (res) => void res.end('['.repeat(50_000) + ']'.repeat(50_000))],
  ['a status of its own', (res) => void res.writeHead(299).end('{}')],
  ['an error without words', (res) => void res.writeHead(500).end()],
  [
    'an error of the wrong kind',
    (res) => void res.writeHead(500, { 'content-type': 'application/json' }).end('{"message": {"a": 1}}'),
  ],
]

test.each(answers)('an engine that answers everything with %s costs a call, not the agent', async (what, say) => {
  answer = say
  const calls: readonly (() => Promise<unknown>)[] = [
    () => runtime.list(opts),
    () => runtime.info(opts),
    () => runtime.image('i', opts),
    () => runtime.images(opts),
    () => runtime.create(testSpec('i', {}, 'uid-1'), opts),
    () => runtime.start('c', opts),
    () => runtime.stop('c', 0, opts),
    () => runtime.remove('c', opts),
    () => runtime.pull('i', undefined, opts),
    async () => await Array.fromAsync(runtime.logs('c', { follow: false, previous: false, timestamps: false }, opts)),
  ]
  for (const call of calls) {
    const outcome = await call().catch((err: unknown) => err)
    if (outcome instanceof Error) expect(outcome).toBeInstanceOf(RuntimeError)
  }
  // Never "there are no containers" from what says nothing about them.
  const listed = await runtime.list(opts).catch((err: unknown) => err)
  if (!what.startsWith('a list')) expect(listed).toBeInstanceOf(RuntimeError)
  // Nor that a container is gone.
  expect(await runtime.state('c', opts).catch((err: unknown) => err)).toBeInstanceOf(RuntimeError)
})
