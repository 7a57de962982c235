import { connect as connectHttp2 } from 'node:http2'
import { connect, type TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { ask } from '../testing/ask.ts'
import { createServedWorld, type ServedWorld } from '../testing/served-world.ts'

// Row 25 of the list of bad inputs, as far as it is HTTP/2 (CVE-2023-44487, CVE-2024-27983) and slow senders.

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const [headersType, resetType, settingsType, pingType, continuationType] = [1, 3, 4, 6, 9]
const [endStream, endHeaders] = [1, 4]

function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

interface Visit {
  readonly isClosed: boolean
  readonly sent: number
}

/** Sends pieces without a certificate until the server closes or the time is over. */
function visit(served: ServedWorld, pieces: Iterable<Uint8Array>, { protocol = 'h2', ms = 5_000 } = {}): Promise<Visit> {
  return new Promise((resolve) => {
    const port = Number(new URL(served.url).port)
    const socket: TLSSocket = connect({ port, host: '127.0.0.1', ca: served.ca, ALPNProtocols: [protocol] })
    const queue = pieces[Symbol.iterator]()
    let sent = 0
    let isClosed = false
    const more = (): void => {
      if (socket.destroyed) return
      const next = queue.next()
      if (next.done === true) return
      sent += next.value.length
      socket.write(next.value, () => setImmediate(more))
    }
    const timer = setTimeout(() => socket.destroy(), ms)
    socket.on('secureConnect', more)
    socket.on('error', () => undefined)
    socket.on('end', () => {
      isClosed = true
    })
    socket.on('close', (hadError) => {
      clearTimeout(timer)
      resolve({ isClosed: isClosed || hadError, sent })
    })
    socket.resume()
  })
}

function* times(count: number, piece: Uint8Array, first: readonly Uint8Array[] = []): Generator<Uint8Array> {
  yield* first
  for (let sent = 0; sent < count; sent += 1) yield piece
}

const opening = [preface, frame(settingsType, 0, 0)]
const noise = Buffer.from(Array.from({ length: 64 * 1024 }, (_, i) => (i * 7919) % 251))

test.each<[string, Iterable<Uint8Array>]>([
  ['noise', [noise]],
  ['noise after the preface', times(4, noise, opening)],
  ['a frame of 16 MB', [...opening, frame(headersType, endHeaders, 1, Buffer.alloc(16_000_000))]],
  ['headers that are no headers', [...opening, frame(headersType, endHeaders, 1, Buffer.alloc(1000, 0xff))]],
  [
    'headers that go on for ever',
    times(20_000, frame(continuationType, 0, 1, Buffer.alloc(1000)), [...opening, frame(headersType, 0, 1)]),
  ],
  ['settings for ever', times(50, Buffer.concat(Array(2000).fill(frame(settingsType, 0, 0))), opening)],
  ['an even stream', [...opening, frame(headersType, endHeaders, 2, Buffer.from([0x82]))]],
])('a stranger who sends %s is cut off', async (_, pieces) => {
  await using served = await createServedWorld()
  expect((await visit(served, pieces, { ms: 10_000 })).isClosed).toBe(true)
  expect((await ask(served, '/version')).code).toBe(200)
})

test('pings for ever cost neither memory nor others their answers', async () => {
  await using served = await createServedWorld()
  const flood = visit(served, times(100, Buffer.concat(Array(2000).fill(frame(pingType, 0, 0, Buffer.alloc(8)))), opening), {
    ms: 4_000,
  })
  for (let asked = 0; asked < 20; asked += 1) expect((await ask(served, '/version')).code).toBe(200)
  expect((await flood).sent).toBeGreaterThan(0)
})

test('streams that are reset as soon as they are opened end the connection', async () => {
  await using served = await createServedWorld()
  // GET https://a/, in the numbers of HPACK's static table.
  const request = Buffer.from([0x82, 0x87, 0x84, 0x41, 0x01, 0x61])
  function* resets(): Generator<Uint8Array> {
    yield* opening
    for (let stream = 1; stream < 100_000; stream += 2)
      yield Buffer.concat([
        frame(headersType, endHeaders | endStream, stream, request),
        frame(resetType, 0, stream, Buffer.from([0, 0, 0, 8])),
      ])
  }
  const { isClosed, sent } = await visit(served, resets(), { ms: 20_000 })
  expect(isClosed).toBe(true)
  expect(sent).toBeGreaterThan(1_000 * 28)
  expect((await ask(served, '/version')).code).toBe(200)
})

test('who does not come to the end of its headers, or says nothing, is cut off', async () => {
  await using served = await createServedWorld({ limits: { headerMs: 300, idleMs: 300 } })
  const slow = [Buffer.from('GET /version HTTP/1.1\r\nHost: a\r\nX-Slow: ')]
  expect(await visit(served, slow, { protocol: 'http/1.1', ms: 10_000 })).toMatchObject({ isClosed: true })
  expect(await visit(served, [...opening, frame(headersType, 0, 1, Buffer.from([0x82]))], { ms: 10_000 })).toMatchObject({
    isClosed: true,
  })
  expect(await visit(served, [], { ms: 10_000 })).toMatchObject({ isClosed: true })
  expect((await ask(served, '/version')).code).toBe(200)
})

test('a connection on which nothing happens for long is closed only when no answer is open on it', async () => {
  await using served = await createServedWorld({ limits: { idleMs: 200, bookmarkMs: 60_000 } })
  const session = connectHttp2(served.url, { ca: served.ca, ...served.admin })
  const watch = session.request({ ':path': '/api/v1/namespaces/default/configmaps?watch=true' })
  let text = ''
  watch.on('data', (chunk) => {
    text += chunk
  })
  watch.resume()
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  await ask(served, '/api/v1/namespaces/default/configmaps', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ metadata: { name: 'late' } }),
  })
  await expect.poll(() => text, { timeout: 5_000 }).toContain('"late"')
  session.destroy()
})
