import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { FakeClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { seededRandom } from '../../lib/random.ts'
import type { ProbeTarget } from '../pods/deps.ts'
import type { Probe } from '../pods/pod-types.ts'
import { HollowRuntime } from '../runtime/hollow/hollow-runtime.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { httpCheck } from './http-check.ts'
import { afterCheck, firstDelayMs, freshState, type ProbeState } from './probe-state.ts'
import { createProbes } from './probes.ts'
import { tcpCheck } from './tcp-check.ts'

const opts = { signal: new AbortController().signal }
const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

const place = { podIp: '127.0.0.1', ports: new Map<string, number>() }

test.each([
  [200, true],
  [302, true],
  [399, true],
  [404, false],
  [500, false],
])('status %i counts as success: %s', async (status, isOk) => {
  const port = await serve((_request, response) => response.writeHead(status).end())
  const result = await httpCheck({ port }, place, opts)
  expect(result.isOk).toBe(isOk)
  if (!isOk) expect(result.message).toBe(`HTTP probe failed with statuscode: ${status}`)
})

test('headers, path and a port by name are used', async () => {
  const seen: string[] = []
  const port = await serve((request, response) => {
    seen.push(request.url ?? '', String(request.headers['x-a']), String(request.headers.host))
    response.end()
  })
  const httpHeaders = [
    { name: 'X-A', value: 'b' },
    { name: 'Host', value: 'shop.example' },
  ]
  const get = { port: 'web', path: '/health?x=1', httpHeaders }
  expect(await httpCheck(get, { ...place, ports: new Map([['web', port]]) }, opts)).toMatchObject({ isOk: true })
  expect(seen).toEqual(['/health?x=1', 'b', 'shop.example'])
})

test('a redirect is followed on the same host only', async () => {
  const paths: string[] = []
  const port = await serve((request, response) => {
    paths.push(request.url ?? '')
    if (request.url === '/') response.writeHead(302, { location: '/next' }).end()
    else if (request.url === '/away') response.writeHead(302, { location: 'http://169.254.169.254/' }).end()
    else if (request.url === '/loop') response.writeHead(302, { location: '/loop' }).end()
    else response.writeHead(500).end()
  })
  expect((await httpCheck({ port }, place, opts)).isOk).toBe(false)
  expect(paths).toEqual(['/', '/next'])
  expect((await httpCheck({ port, path: '/away' }, place, opts)).isOk).toBe(true)
  expect(await httpCheck({ port, path: '/loop' }, place, opts)).toMatchObject({
    isOk: false,
    message: 'stopped after 10 redirects',
  })
})

test('a body without an end is cut off', async () => {
  const port = await serve((_request, response) => {
    const more = (): void => {
      if (!response.destroyed) response.write('x'.repeat(1024), () => setImmediate(more))
    }
    more()
  })
  expect((await httpCheck({ port }, place, opts)).isOk).toBe(true)
})

test("a body that drips for ever fails by the probe's timeout, and its connection is closed", async () => {
  let isClosed = false
  const port = await serve((request, response) => {
    response.write('x')
    request.socket.once('close', () => {
      isClosed = true
    })
  })
  const stop = new AbortController()
  const outcome = httpCheck({ port }, place, { signal: stop.signal }).catch((err: unknown) => err)
  await expect.poll(() => servers[0]?.listening).toBe(true)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(isClosed).toBe(false)
  stop.abort(new Error('the time is over'))
  expect(await outcome).toMatchObject({ message: 'the time is over' })
  await expect.poll(() => isClosed).toBe(true)
})

test.each<[string, (socket: Socket) => void]>([
  ['no HTTP at all', (socket) => void socket.end('SSH-2.0-x\r\n')],
  ['headers without an end', (socket) => void socket.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(100_000)}`)],
  ['a header of a megabyte', (socket) => void socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1_000_000)}`)],
  ['a length that lies', (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx')],
  ['chunks that are none', (socket) => void socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n')],
  ['nothing', (socket) => void socket.end()],
  ['a reset', (socket) => void socket.resetAndDestroy()],
])('an answer that is %s fails the check with a message', async (_, say) => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => say(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  try {
    const { isOk, message } = await httpCheck({ port }, place, opts)
    expect(isOk).toBe(false)
    expect(message).toMatch(/^Get "http:\/\/127\.0\.0\.1:\d+\/": .{3,300}$/)
  } finally {
    server.close()
  }
})

test('what does not listen, and a port that has no such name, fail with a message', async () => {
  const port = await serve(() => undefined)
  expect(await tcpCheck({ port }, place, opts)).toMatchObject({ isOk: true })
  expect((await tcpCheck({ port: 1 }, place, opts)).message).toMatch(/^dial tcp 127\.0\.0\.1:1: connect ECONNREFUSED/)
  expect((await httpCheck({ port: 1 }, place, opts)).message).toContain('ECONNREFUSED')
  expect(await httpCheck({ port: 'none' }, place, opts)).toMatchObject({ message: 'couldn\'t find port "none"' })
})

test.each([
  ['+', { successThreshold: 1 }, 'success'],
  ['--', { failureThreshold: 3 }, 'unknown'],
  ['---', { failureThreshold: 3 }, 'failure'],
  ['+--', { failureThreshold: 3 }, 'success'],
  ['+---', { failureThreshold: 3 }, 'failure'],
  ['--+--', { failureThreshold: 3 }, 'success'],
  ['---+', { failureThreshold: 3, successThreshold: 2 }, 'failure'],
  ['---++', { failureThreshold: 3, successThreshold: 2 }, 'success'],
] as const)('checks %s with %j come to %s', (outcomes, probe, expected) => {
  const end = [...outcomes].reduce<ProbeState>((state, one) => afterCheck(state, one === '+', probe), freshState)
  expect(end.result).toBe(expected)
})

test('the first check waits for the initial delay; those of adopted containers are spread', () => {
  expect(firstDelayMs({ initialDelaySeconds: 5 }, 1000, 0)).toBe(4000)
  expect(firstDelayMs({ initialDelaySeconds: 5, periodSeconds: 10 }, 60_000, 0.5)).toBe(5000)
  expect(firstDelayMs({}, 0, 0.99)).toBeLessThan(200)
})

interface World {
  readonly clock: FakeClock
  readonly probes: ReturnType<typeof createProbes>
  readonly messages: string[]
  readonly started: () => number
  pass(ms: number): Promise<void>
  stop(): Promise<void>
}

/** Probes whose commands do as `result` says: an exit code, or never an answer, of theirs alone or of the whole engine. */
function probeWorld(result: (command: string) => number | 'hangs' | 'engineHangs' | 'trouble'): World {
  const clock = new FakeClock()
  let running = 0
  let most = 0
  let isEngineHung = false
  const never = (signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  const engine = new HollowRuntime(clock)
  const info: Runtime['info'] = (inner) => (isEngineHung ? never(inner.signal) : engine.info(inner))
  const exec: Runtime['exec'] = async function* (_id, { command }, _input, { signal }) {
    running++
    most = Math.max(most, running)
    try {
      const code = result(command[0] ?? '')
      if (code === 'trouble') throw new Error('the engine is away')
      isEngineHung = code === 'engineHangs'
      if (code === 'hangs' || isEngineHung) await never(signal)
      yield { type: 'exit', code: typeof code === 'number' ? code : 0 }
    } finally {
      running--
    }
  }
  const probes = createProbes({ runtime: { exec, info }, clock, random: seededRandom(1), log: silentLog })
  const messages: string[] = []
  probes.subscribe({ changed: () => undefined, failed: (_uid, _container, message) => messages.push(message) })
  const controller = new AbortController()
  const ended = probes.run(controller.signal)
  return {
    clock,
    probes,
    messages,
    started: () => most,
    async pass(ms) {
      for (let left = ms; left > 0; left -= 100) {
        clock.step(100)
        for (let count = 0; count < 5; count++) await new Promise((resolve) => setImmediate(resolve))
      }
    },
    async stop() {
      controller.abort(new Error('over'))
      await ended
    },
  }
}

const probeOf = (command: string, more: Probe = {}): Probe => ({
  exec: { command: [command] },
  periodSeconds: 1,
  failureThreshold: 2,
  ...more,
})

const targetOf = (probes: ProbeTarget['probes'], more: Partial<ProbeTarget> = {}): ProbeTarget => ({
  containerId: 'c',
  container: 'web',
  podIp: '127.0.0.1',
  probes,
  ports: new Map(),
  ranMs: 0,
  was: { isReady: false, isStarted: false },
  isStopping: false,
  ...more,
})

test('without probes a container is started and ready; one that is not probed is neither', async () => {
  const world = probeWorld(() => 0)
  world.probes.sync('u', [targetOf({})])
  expect([world.probes.isStarted('u', 'c'), world.probes.isReady('u', 'c')]).toEqual([true, true])
  expect(world.probes.isReady('u', 'other')).toBe(false)
  await world.stop()
})

test('readiness comes with the first success and goes after the threshold of failures', async () => {
  let code = 1
  const world = probeWorld(() => code)
  world.probes.sync('u', [targetOf({ readiness: probeOf('ready') })])
  await world.pass(1500)
  expect(world.probes.isReady('u', 'c')).toBe(false)
  code = 0
  await world.pass(1000)
  expect(world.probes.isReady('u', 'c')).toBe(true)
  code = 1
  await world.pass(1000)
  expect(world.probes.isReady('u', 'c')).toBe(true)
  await world.pass(1000)
  expect(world.probes.isReady('u', 'c')).toBe(false)
  expect(world.messages).toContain('Readiness probe failed: command exited with 1')
  await world.stop()
})

test('liveness and readiness wait for startup, whose failure asks for a restart', async () => {
  const asked = new Set<string>()
  let startup = 1
  const world = probeWorld((command) => {
    asked.add(command)
    return command === 'startup' ? startup : 0
  })
  const probes = { startup: probeOf('startup', { failureThreshold: 5 }), liveness: probeOf('live'), readiness: probeOf('ready') }
  world.probes.sync('u', [targetOf(probes)])
  await world.pass(2500)
  expect([...asked]).toEqual(['startup'])
  expect(world.probes.isStarted('u', 'c')).toBe(false)
  startup = 0
  await world.pass(1200)
  expect(world.probes.isStarted('u', 'c')).toBe(true)
  expect(world.probes.isReady('u', 'c')).toBe(true)
  startup = 1
  world.probes.sync('u', [targetOf(probes, { containerId: 'd' })])
  await world.pass(6000)
  expect(world.probes.unhealthy('u', 'd')?.message).toBe('Container web failed startup probe, will be restarted')
  await world.stop()
})

test('a check that never answers fails by its timeout, and never runs twice at a time', async () => {
  const world = probeWorld(() => 'hangs')
  const liveness = probeOf('live', { timeoutSeconds: 3, terminationGracePeriodSeconds: 7 })
  world.probes.sync('u', [targetOf({ liveness })])
  await world.pass(9000)
  expect(world.probes.unhealthy('u', 'c')).toEqual({
    message: 'Container web failed liveness probe, will be restarted',
    graceMs: 7000,
  })
  expect(world.messages[0]).toBe('Liveness probe failed: command timed out: "live" timed out after 3s')
  expect(world.started()).toBe(1)
  await world.stop()
})

test('trouble of the engine says nothing about the container', async () => {
  const world = probeWorld(() => 'trouble')
  world.probes.sync('u', [targetOf({ liveness: probeOf('live') })])
  await world.pass(10_000)
  expect(world.probes.unhealthy('u', 'c')).toBeUndefined()
  expect(world.messages).toContain('Liveness probe errored: the engine is away')
  await world.stop()
})

test('a command without an answer counts for nothing while the whole engine is silent', async () => {
  let result: 'engineHangs' | 'hangs' = 'engineHangs'
  const world = probeWorld(() => result)
  world.probes.sync('u', [targetOf({ liveness: probeOf('live') })])
  await world.pass(60_000)
  expect(world.probes.unhealthy('u', 'c')).toBeUndefined()
  expect(world.messages[0]).toBe('Liveness probe errored: the engine: no answer within 5000 ms')
  result = 'hangs'
  await world.pass(12_000)
  expect(world.probes.unhealthy('u', 'c')).toBeDefined()
  await world.stop()
})

test('an adopted container stays ready until a check says otherwise', async () => {
  const world = probeWorld(() => 1)
  const target = targetOf({ readiness: probeOf('ready') }, { ranMs: 60_000, was: { isReady: true, isStarted: true } })
  world.probes.sync('u', [target])
  expect(world.probes.isReady('u', 'c')).toBe(true)
  await world.pass(4000)
  expect(world.probes.isReady('u', 'c')).toBe(false)
  await world.stop()
})

test('a container that is being stopped is not found unhealthy', async () => {
  const world = probeWorld(() => 1)
  world.probes.sync('u', [targetOf({ liveness: probeOf('live') }, { isStopping: true })])
  await world.pass(10_000)
  expect(world.probes.unhealthy('u', 'c')).toBeUndefined()
  world.probes.sync('u', [])
  expect(world.clock.nextTimerAt).toBeUndefined()
  await world.stop()
})

test('what ran before this agent is awaited until it has answered; what is new, or was not due yet, is not', async () => {
  const world = probeWorld((command) => (command === 'ready' ? 0 : 1))
  const sync = (uid: string, command: string, ranMs: number, more: Probe = {}): void =>
    world.probes.sync(uid, [targetOf({ readiness: probeOf(command, more) }, { ranMs })])
  sync('adopted', 'ready', 60_000)
  sync('justBefore', 'ready', 300)
  sync('failing', 'bad', 60_000)
  sync('new', 'ready', 0)
  sync('early', 'ready', 60_000, { initialDelaySeconds: 90 })
  world.probes.sync('bare', [targetOf({}, { ranMs: 60_000 })])
  const awaited = (): string[] =>
    ['adopted', 'justBefore', 'failing', 'new', 'early', 'bare'].filter((uid) => world.probes.isAwaited(uid))
  expect(awaited()).toEqual(['adopted', 'justBefore', 'failing'])
  await world.pass(3000)
  expect(awaited()).toEqual([])
  expect([world.probes.isReady('adopted', 'c'), world.probes.isReady('failing', 'c')]).toEqual([true, false])
  await world.stop()
})
