import { once } from 'node:events'
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { GRPCUnavailableError } from 'etcd3'
import { afterEach, expect, test } from 'vitest'
import { FakeClock, systemClock } from '../../lib/clock.ts'
import { asStatusError, isUnknownOutcome } from './etcd-errors.ts'
import { Framer, UnaryCaller } from './grpc-unary.ts'

const started: { stop(): void }[] = []
afterEach(() => {
  for (const one of started.splice(0)) one.stop()
})

interface Peer {
  readonly server: Http2Server
  readonly endpoint: string
  readonly sessions: ServerHttp2Session[]
  calls: number
}

async function peer(answer: (stream: ServerHttp2Stream, message: Buffer) => void, port = 0): Promise<Peer> {
  const server = createServer()
  const sessions: ServerHttp2Session[] = []
  server.on('session', (session) => sessions.push(session))
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const made: Peer = { server, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sessions, calls: 0 }
  server.on('stream', (stream) => {
    made.calls++
    stream.on('error', () => undefined)
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => answer(stream, Buffer.concat(chunks)))
  })
  started.push({ stop: () => stopPeer(made) })
  return made
}

function stopPeer({ server, sessions }: Peer): void {
  for (const session of sessions) session.destroy()
  server.close()
}

/** Sends the message back, its bytes in several pieces. */
function echo(stream: ServerHttp2Stream, message: Buffer): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.write(message.subarray(0, 7))
  setImmediate(() => stream.end(message.subarray(7)))
}

const refuse = (status: string, message: string) => (stream: ServerHttp2Stream) =>
  stream.respond({ ':status': 200, 'grpc-status': status, 'grpc-message': message }, { endStream: true })

function callerOf(endpoints: readonly string[], clock = systemClock): UnaryCaller {
  const caller = new UnaryCaller({ endpoints, tls: undefined, clock })
  started.push({ stop: () => caller.close() })
  return caller
}

const hello = new Framer().message((writer) => writer.uint32(10).string('hello, this is a message'))
const call = (caller: UnaryCaller, signal = new AbortController().signal) =>
  caller.call({ path: '/x/Y', message: hello, ms: 2_000, what: 'asking', signal })

test('a message goes there and back, and all calls share a connection', async () => {
  const there = await peer(echo)
  const caller = callerOf([there.endpoint])
  const answers = await Promise.all(Array.from({ length: 50 }, () => call(caller)))
  for (const answer of answers) expect(Buffer.from(answer)).toEqual(Buffer.from(hello.subarray(5)))
  expect(there.sessions.length).toBe(1)
})

test('what the server refuses comes with its words, decoded', async () => {
  const there = await peer(refuse('3', 'etcdserver: too many operations 100%25'))
  const error: unknown = await call(callerOf([there.endpoint])).catch((err: unknown) => err)
  expect(String(error)).toContain('etcdserver: too many operations 100%')
  expect(isUnknownOutcome(error)).toBe(false)
  expect(asStatusError(error, 'asking')).toMatchObject({ status: { code: 413 } })
})

test('a server that says it is not available is left for the next endpoint', async () => {
  const [first, second] = [await peer(refuse('14', 'etcdserver: no leader')), await peer(echo)]
  const caller = callerOf([first.endpoint, second.endpoint])
  await expect(call(caller)).rejects.toBeInstanceOf(GRPCUnavailableError)
  await call(caller)
  await call(caller)
  expect([first.calls, second.calls]).toEqual([1, 2])
})

test('where nobody listens the next endpoint is taken, and the first again when that one fails', async () => {
  const gone = await peer(echo)
  stopPeer(gone)
  const second = await peer(echo)
  const caller = callerOf([gone.endpoint, second.endpoint])
  const error: unknown = await call(caller).catch((err: unknown) => err)
  expect(isUnknownOutcome(error)).toBe(true)
  expect(String(error)).toContain('ECONNREFUSED')
  await call(caller)
  stopPeer(second)
  const back = await peer(echo, Number(new URL(gone.endpoint).port))
  await expect
    .poll(
      async () =>
        await call(caller).then(
          () => back.calls,
          () => 0,
        ),
    )
    .toBeGreaterThan(0)
})

test('a connection that breaks under a call ends it with an unknown outcome, and the next call has another one', async () => {
  const there = await peer((stream, message) => (there.calls === 1 ? stream.session?.destroy() : echo(stream, message)))
  const caller = callerOf([there.endpoint])
  const error: unknown = await call(caller).catch((err: unknown) => err)
  expect(isUnknownOutcome(error)).toBe(true)
  await call(caller)
  expect(there.sessions.length).toBe(2)
})

test('a call that ends without a word on a connection that lives has the next one made on another', async () => {
  const there = await peer((stream, message) => (there.calls === 1 ? stream.close(7) : echo(stream, message)))
  const caller = callerOf([there.endpoint])
  await expect(call(caller)).rejects.toBeInstanceOf(GRPCUnavailableError)
  await call(caller)
  expect(there.sessions.length).toBe(2)
})

test('a refusal of the only server there is costs no connection', async () => {
  const there = await peer((stream, message) => (there.calls === 1 ? refuse('14', 'no leader')(stream) : echo(stream, message)))
  const caller = callerOf([there.endpoint])
  await expect(call(caller)).rejects.toBeInstanceOf(GRPCUnavailableError)
  await call(caller)
  expect(there.sessions.length).toBe(1)
})

test('who answers nothing is given up after the time, and the next call does not wait on the same connection', async () => {
  const there = await peer((stream, message) => (there.calls === 1 ? undefined : echo(stream, message)))
  const clock = new FakeClock()
  const caller = callerOf([there.endpoint], clock)
  const silent = call(caller)
  silent.catch(() => undefined)
  await expect.poll(() => there.calls).toBe(1)
  clock.step(2_000)
  await expect(silent).rejects.toThrow('asking: no answer within 2000 ms')
  await call(caller)
  expect(there.sessions.length).toBe(2)
  // The old connection is not kept for the call that was given up.
  await expect.poll(() => there.sessions[0]?.destroyed).toBe(true)
})

test('a server that says goodbye answers what it has, and gets no more', async () => {
  let held: (() => void) | undefined
  const there = await peer((stream, message) => {
    if (there.calls > 1) return echo(stream, message)
    stream.session?.goaway(0)
    held = () => echo(stream, message)
  })
  const caller = callerOf([there.endpoint])
  const first = call(caller)
  await expect.poll(() => held !== undefined).toBe(true)
  await expect.poll(async () => await call(caller).then(() => there.sessions.length)).toBe(2)
  held?.()
  await first
})

test('an abort ends a call at once, and others on the connection go on', async () => {
  let held: (() => void) | undefined
  const there = await peer((stream, message) => {
    if (there.calls === 1) return
    if (there.calls >= 3) return echo(stream, message)
    held = () => echo(stream, message)
  })
  const caller = callerOf([there.endpoint])
  const stop = new AbortController()
  const [given, other] = [call(caller, stop.signal), call(caller)]
  await expect.poll(() => held !== undefined).toBe(true)
  stop.abort(new Error('no longer wanted'))
  await expect(given).rejects.toThrow('no longer wanted')
  // By the second one the stream that was given up has closed.
  await call(caller)
  await call(caller)
  held?.()
  await other
  expect(there.sessions.length).toBe(1)
})

test.each([
  ['is cut short', (message: Buffer) => message.subarray(0, -1)],
  ['is empty', () => Buffer.alloc(0)],
  ['is compressed', (message: Buffer) => Buffer.concat([Buffer.from([1]), message.subarray(1)])],
])('an answer that %s is no answer', async (_, change) => {
  const there = await peer((stream, message) => echo(stream, change(message)))
  const error: unknown = await call(callerOf([there.endpoint])).catch((err: unknown) => err)
  expect(String(error)).toContain('no single message')
  expect(isUnknownOutcome(error)).toBe(true)
})

test('something that is no gRPC is told as not available', async () => {
  const there = await peer((stream) => stream.respond({ ':status': 503 }, { endStream: true }))
  await expect(call(callerOf([there.endpoint]))).rejects.toThrow('HTTP status 503')
})

test('a closed client ends what is under way, and takes nothing more', async () => {
  const there = await peer(() => undefined)
  const caller = callerOf([there.endpoint])
  const waiting = call(caller)
  waiting.catch(() => undefined)
  await expect.poll(() => there.calls).toBe(1)
  caller.close()
  await expect(waiting).rejects.toBeInstanceOf(GRPCUnavailableError)
  await expect(call(caller)).rejects.toThrow('closed')
})

test('messages that are made one after the other have nothing of each other, whatever their size and also after a failure', () => {
  const framer = new Framer()
  const made = (value: Uint8Array): Uint8Array => framer.message((writer) => writer.bytes(value))
  const bodies = [10, 5_000, 3, 200_000, 20, 0].map((size, index) => new Uint8Array(size).fill(index + 1))
  const expected = bodies.map((body) => new Framer().message((writer) => writer.bytes(body)))
  const messages = bodies.map((body) => {
    expect(() =>
      framer.message((writer) => {
        writer.fork().string('half of a message')
        throw new Error('it cannot be written')
      }),
    ).toThrow('it cannot be written')
    return made(body)
  })
  // Compared when all are made: none lies where a later one was written.
  expect(messages).toEqual(expected)
})
