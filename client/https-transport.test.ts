import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { ConfigMap } from '../api/kinds/config-map.ts'
import { isExpired, isNotFound, isUnavailable, notFound, StatusError } from '../api/meta/status.ts'
import { systemClock } from '../lib/clock.ts'
import { type HttpsTransport, httpsTransport } from './https-transport.ts'
import { createClient } from './typed-client.ts'

interface Seen {
  readonly method: string
  readonly path: string
  readonly type: string | undefined
  readonly body: string
}
type Answer = (stream: ServerHttp2Stream, seen: Seen) => void

const open: { server: Http2Server; sessions: Set<ServerHttp2Session>; transport: HttpsTransport }[] = []
const { signal } = new AbortController()

afterEach(async () => {
  for (const { server, sessions, transport } of open.splice(0)) {
    transport.close()
    for (const session of sessions) session.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
})

/** The other end of the wire: bytes as the test says, on an HTTP/2 connection without TLS. */
async function peer(answer: Answer) {
  const seen: Seen[] = []
  const sessions = new Set<ServerHttp2Session>()
  const server = createServer()
  server.on('session', (session) => sessions.add(session))
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = []
    stream.on('error', () => undefined)
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      const [method, path, type] = [headers[':method'] ?? '', headers[':path'] ?? '', headers['content-type']]
      const one = { method, path, type, body: Buffer.concat(chunks).toString('utf8') }
      seen.push(one)
      answer(stream, one)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const transport = httpsTransport({ server: `http://127.0.0.1:${port}`, clock: systemClock })
  open.push({ server, sessions, transport })
  return { seen, sessions, transport, client: createClient(transport) }
}

const json = (stream: ServerHttp2Stream, code: number, body: unknown, headers: Record<string, string> = {}): void => {
  stream.respond({ ':status': code, 'content-type': 'application/json', ...headers })
  stream.end(JSON.stringify(body))
}
const made = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'x', name: 'a', resourceVersion: '7' } }

test('verbs become paths, queries and media types', async () => {
  const { client, seen } = await peer((stream) => json(stream, 200, made))
  await client.create(ConfigMap, made, { signal, dryRun: true, fieldValidation: 'Strict' })
  await client.patch(ConfigMap, { namespace: 'x', name: 'a' }, { type: 'strategic', body: { data: {} } }, { signal })
  await client.list(ConfigMap, { signal, namespace: 'x', labelSelector: 'app=web,tier in (a,b)' })
  await client.delete(ConfigMap, { namespace: 'x', name: 'a' }, { signal, gracePeriodSeconds: 0, preconditions: { uid: 'u' } })
  expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
    'POST /api/v1/namespaces/x/configmaps?fieldValidation=Strict&dryRun=All',
    'PATCH /api/v1/namespaces/x/configmaps/a',
    'GET /api/v1/namespaces/x/configmaps?labelSelector=app%3Dweb%2Ctier+in+%28a%2Cb%29',
    'DELETE /api/v1/namespaces/x/configmaps/a',
  ])
  expect(seen[1]?.type).toBe('application/strategic-merge-patch+json')
  expect(JSON.parse(seen[3]?.body ?? '')).toMatchObject({
    kind: 'DeleteOptions',
    gracePeriodSeconds: 0,
    preconditions: { uid: 'u' },
  })
})

test('a Status is thrown as the error it is, and what is none says who answered', async () => {
  const { client } = await peer((stream, { path }) => {
    if (path.endsWith('/a')) json(stream, 404, notFound(ConfigMap, 'a').status)
    else {
      stream.respond({ ':status': 502 })
      stream.end('bad gateway')
    }
  })
  const get = (name: string) => client.get(ConfigMap, { namespace: 'x', name }, { signal }).catch((err: unknown) => err)
  expect(isNotFound(await get('a'))).toBe(true)
  const other = await get('b')
  expect(other).toBeInstanceOf(StatusError)
  expect(String(other)).toContain('the server answered 502: bad gateway')
})

test('warnings reach who asked', async () => {
  const { client } = await peer((stream) =>
    json(stream, 200, made, { warning: '299 - "unknown field \\"spec.x\\"", 299 - "old"' }),
  )
  const warnings: string[] = []
  await client.create(ConfigMap, made, { signal, onWarning: (one) => warnings.push(one) })
  expect(warnings).toEqual(['unknown field "spec.x"', 'old'])
})

test('a watch gives whole events, however the bytes are cut, with bookmarks as progress', async () => {
  const line = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`
  const data = { ...made, data: { text: 'ä€😀' } }
  const bookmark = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { resourceVersion: '20' } }
  const bytes = Buffer.from(line('ADDED', data) + line('BOOKMARK', bookmark) + line('ERROR', { ...expiredStatus }))
  const { client, seen } = await peer((stream) => {
    stream.respond({ ':status': 200 })
    const send = (at: number): void => {
      if (at >= bytes.length) stream.end()
      else stream.write(bytes.subarray(at, at + 5), () => setImmediate(send, at + 5))
    }
    send(0)
  })
  const got: unknown[] = []
  let error: unknown
  try {
    for await (const { events, revision } of client.watch(ConfigMap, {
      signal,
      namespace: 'x',
      name: 'a',
      resourceVersion: '5',
    })) {
      got.push(...events.map((one) => `${one.type} ${one.object.data?.['text']}`), revision)
    }
  } catch (err) {
    error = err
  }
  expect(got).toEqual(['ADDED ä€😀', 7, 20])
  expect(isExpired(error)).toBe(true)
  expect(seen[0]?.path).toContain('fieldSelector=metadata.name%3Da')
})

const expiredStatus = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason: 'Expired', code: 410 }

test('after the connection broke the next call opens another', async () => {
  const { client, sessions } = await peer((stream) => json(stream, 200, made))
  await client.get(ConfigMap, { namespace: 'x', name: 'a' }, { signal })
  for (const session of sessions) session.destroy()
  await new Promise((resolve) => setTimeout(resolve, 20))
  await client.get(ConfigMap, { namespace: 'x', name: 'a' }, { signal })
  expect(sessions.size).toBe(2)
})

test('a server that hangs up before it answers, or is not there, is unavailable', async () => {
  const { client } = await peer((stream) => stream.session?.destroy())
  const cut = await client.get(ConfigMap, { namespace: 'x', name: 'a' }, { signal }).catch((err: unknown) => err)
  expect(isUnavailable(cut)).toBe(true)
  const nowhere = httpsTransport({ server: 'http://127.0.0.1:1', clock: systemClock })
  const refused = await nowhere.get('/version', { signal }).catch((err: unknown) => err)
  nowhere.close()
  expect(isUnavailable(refused)).toBe(true)
  expect(String(refused)).toContain('cannot be reached')
})

test('half an answer is no answer', async () => {
  const { client } = await peer((stream) => {
    stream.respond({ ':status': 200 })
    stream.write('{"apiVersion":"v1"', () => stream.close(8))
  })
  const cut = await client.get(ConfigMap, { namespace: 'x', name: 'a' }, { signal }).catch((err: unknown) => err)
  expect(isUnavailable(cut)).toBe(true)
})

test('aborting ends a call and a watch with the reason, and tells the server', async () => {
  let closed = 0
  const { client, seen } = await peer((stream, { path }) => {
    stream.on('close', () => closed++)
    if (path.includes('watch')) stream.respond({ ':status': 200 })
  })
  const stop = new AbortController()
  const get = client.get(ConfigMap, { namespace: 'x', name: 'a' }, { signal: stop.signal })
  const watching = (async () => {
    for await (const _ of client.watch(ConfigMap, { signal: stop.signal }));
  })()
  while (seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  stop.abort(new Error('enough'))
  await expect(get).rejects.toThrow('enough')
  await expect(watching).rejects.toThrow('enough')
  while (closed < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(closed).toBe(2)
})
