import { expect, test } from 'vitest'
import WebSocket from 'ws'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { PodStreams } from '../../api/meta/streams.ts'
import { configMap, node, pod } from '../../api/testing/builders.ts'
import { ask } from '../testing/ask.ts'
import { createServedWorld } from '../testing/served-world.ts'

const fresh = <O extends ApiObject>({ metadata, ...rest }: O): O => {
  const { uid: _, creationTimestamp: __, ...kept } = metadata
  return { ...rest, metadata: kept } as unknown as O
}

const configMaps = '/api/v1/namespaces/default/configmaps'
const json = { 'content-type': 'application/json' }

test('over HTTP/2: create, read, watch and delete', async () => {
  await using served = await createServedWorld()
  const client = served.client()
  const { signal } = served.world
  const made = await client.create(ConfigMap, fresh(configMap()), { signal })
  expect(await client.get(ConfigMap, { namespace: 'default', name: 'config' }, { signal })).toEqual(made)
  const stop = new AbortController()
  const seen: string[] = []
  const watching = (async () => {
    const opts = { namespace: 'default', signal: stop.signal, resourceVersion: String(made.metadata.resourceVersion) }
    for await (const { events } of client.watch(ConfigMap, opts)) {
      seen.push(...events.map(({ type }) => type))
      if (seen.length >= 2) return
    }
  })()
  await client.update(ConfigMap, { ...made, data: { key: 'other' } }, { signal })
  await client.delete(ConfigMap, { namespace: 'default', name: 'config' }, { signal })
  await watching
  stop.abort()
  expect(seen).toEqual(['MODIFIED', 'DELETED'])
})

test('nobody is told anything but health and version without a certificate', async () => {
  await using served = await createServedWorld()
  expect((await ask(served, '/livez', { anonymous: true })).text).toBe('ok')
  expect(JSON.parse((await ask(served, '/version', { anonymous: true })).text)).toMatchObject({ major: '1', minor: '32' })
  for (const path of ['/api', configMaps, '/metrics', '/nonsense']) {
    const answer = await ask(served, path, { anonymous: true })
    expect([path, answer.code, JSON.parse(answer.text).reason]).toEqual([path, 401, 'Unauthorized'])
  }
})

test('a node is refused in the words of Kubernetes', async () => {
  await using served = await createServedWorld()
  const client = served.client(await served.pki.issueNodeCert('node-1'))
  const list = client.list(Pod, { namespace: 'default', signal: served.world.signal })
  await expect(list).rejects.toThrow(
    'User "system:node:node-1" cannot list resource "pods" in API group "" in the namespace "default"',
  )
})

const bad: readonly [string, string, Parameters<typeof ask>[2], number, RegExp][] = [
  ['an unknown path', '/nope', {}, 404, /could not find/],
  ['an unknown resource', '/api/v1/namespaces/default/things', {}, 404, /could not find/],
  ['a verb that a path does not take', `${configMaps}/a`, { method: 'POST', body: '{}' }, 405, /method/],
  ['no JSON', configMaps, { method: 'POST', body: '{"a":', headers: json }, 400, /no valid JSON/],
  ['another kind', configMaps, { method: 'POST', body: '{"kind":"Pod","apiVersion":"v1"}', headers: json }, 400, /Pod/],
  [
    'a wrong type',
    configMaps,
    { method: 'POST', body: '{"metadata":{"name":7}}', headers: json },
    400,
    /metadata\.name: expected string/,
  ],
  ['a wrong name', configMaps, { method: 'POST', body: '{"metadata":{"name":"A_b"}}', headers: json }, 422, /metadata\.name/],
  ['no name', configMaps, { method: 'POST', body: '{}', headers: json }, 422, /name or generateName is required/],
  [
    'another namespace',
    configMaps,
    { method: 'POST', body: '{"metadata":{"name":"a","namespace":"b"}}', headers: json },
    400,
    /does not match the namespace/,
  ],
  [
    'an unknown field under Strict',
    `${configMaps}?fieldValidation=Strict`,
    { method: 'POST', body: '{"metadata":{"name":"a"},"foo":1}', headers: json },
    400,
    /unknown field "foo"/,
  ],
  [
    'a duplicate key under Strict',
    `${configMaps}?fieldValidation=Strict`,
    { method: 'POST', body: '{"metadata":{"name":"a","name":"b"}}', headers: json },
    400,
    /duplicate field "metadata\.name"/,
  ],
  [
    'a key that reaches for a prototype',
    `${configMaps}?fieldValidation=Strict`,
    { method: 'POST', body: '{"metadata":{"name":"a"},"__proto__":{"a":1}}', headers: json },
    400,
    /__proto__/,
  ],
  ['deep nesting', configMaps, { method: 'POST', body: `${'['.repeat(50_000)}`, headers: json }, 400, /nested deeper/],
  ['a body over the limit', configMaps, { method: 'POST', body: Buffer.alloc(3 * 1024 * 1024 + 1), headers: json }, 413, /bytes/],
  [
    'an object over the limit',
    configMaps,
    { method: 'POST', body: JSON.stringify({ metadata: { name: 'a' }, data: { a: 'x'.repeat(1_500_000) } }), headers: json },
    422,
    /data/,
  ],
  [
    'an unknown media type',
    configMaps,
    { method: 'POST', body: 'a', headers: { 'content-type': 'text/csv' } },
    415,
    /unknown format/,
  ],
  [
    'server-side apply',
    `${configMaps}/a`,
    { method: 'PATCH', body: '{}', headers: { 'content-type': 'application/apply-patch+yaml' } },
    415,
    /server-side apply is not supported/,
  ],
  ['a form that nobody speaks', configMaps, { headers: { accept: 'text/html' } }, 406, /media types/],
  ['a wrong limit', `${configMaps}?limit=x`, {}, 400, /limit: Invalid value/],
  ['a wrong continue', `${configMaps}?limit=1&continue=x`, {}, 400, /continue key is not valid/],
  ['a wrong selector', `${configMaps}?labelSelector=a+in+(`, {}, 400, /a in \(/],
  ['an unknown field selector', `${configMaps}?fieldSelector=spec.a=b`, {}, 400, /field label not supported/],
  ['a wrong revision', `${configMaps}?resourceVersion=abc`, {}, 400, /resourceVersion/],
  [
    'an alias bomb',
    configMaps,
    { method: 'POST', body: bomb(), headers: { 'content-type': 'application/yaml' } },
    400,
    /no valid YAML/,
  ],
  [
    'duplicate YAML keys',
    configMaps,
    { method: 'POST', body: 'metadata:\n  name: a\n  name: b\n', headers: { 'content-type': 'application/yaml' } },
    400,
    /line 3/,
  ],
]

function bomb(): string {
  const levels = Array.from(
    { length: 12 },
    (_, level) => `a${level + 1}: &a${level + 1} [${Array.from({ length: 9 }, () => `*a${level}`).join(',')}]`,
  )
  return ['a0: &a0 [x]', ...levels].join('\n')
}

test('bad input gets the right status, names what is wrong and changes nothing', async () => {
  await using served = await createServedWorld()
  const before = served.world.store.revision
  for (const [what, path, options, code, message] of bad) {
    const answer = await ask(served, path, options)
    const status: unknown = JSON.parse(answer.text)
    const expected = { kind: 'Status', status: 'Failure', code, message: expect.stringMatching(message) }
    expect([what, answer.code, status]).toEqual([what, code, expect.objectContaining(expected)])
  }
  expect(served.world.store.revision).toBe(before)
  expect((await ask(served, configMaps)).code).toBe(200)
})

test('a list comes in pages of one state, though it changes meanwhile', async () => {
  await using served = await createServedWorld()
  const client = served.client()
  const { signal } = served.world
  for (let i = 0; i < 7; i++) await client.create(ConfigMap, fresh(configMap({ metadata: { name: `c${i}` } })), { signal })
  const first = await client.list(ConfigMap, { namespace: 'default', limit: 3, signal })
  expect(first.metadata.remainingItemCount).toBe(4)
  await client.delete(ConfigMap, { namespace: 'default', name: 'c5' }, { signal })
  const names = first.items.map(({ metadata }) => metadata.name)
  for (let token = first.metadata.continue; token !== undefined; ) {
    const page = await client.list(ConfigMap, { namespace: 'default', limit: 3, continue: token, signal })
    expect(page.metadata.resourceVersion).toBe(first.metadata.resourceVersion)
    names.push(...page.items.map(({ metadata }) => metadata.name))
    token = page.metadata.continue
  }
  expect(names).toEqual(['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6'])
})

test('a watch speaks of what comes into a selector and leaves it, with bookmarks and an end', async () => {
  await using served = await createServedWorld({ limits: { bookmarkMs: 0 } })
  const client = served.client()
  const { signal } = served.world
  const watching = ask(
    served,
    `${configMaps}?watch=1&labelSelector=a%3Db&allowWatchBookmarks=true&timeoutSeconds=2&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=1`,
  )
  const made = await client.create(ConfigMap, fresh(configMap()), { signal })
  const inside = await client.update(ConfigMap, { ...made, metadata: { ...made.metadata, labels: { a: 'b' } } }, { signal })
  await client.update(ConfigMap, { ...inside, metadata: { ...inside.metadata, labels: {} } }, { signal })
  const lines = (await watching).text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; object: ApiObject })
  expect(lines.map(({ type }) => type).filter((type) => type !== 'BOOKMARK')).toEqual(['ADDED', 'DELETED'])
  expect(
    lines.some(
      ({ type, object }) => type === 'BOOKMARK' && object.metadata.annotations?.['k8s.io/initial-events-end'] === 'true',
    ),
  ).toBe(true)
})

test('unknown fields are dropped with a warning', async () => {
  await using served = await createServedWorld()
  const answer = await ask(served, configMaps, { method: 'POST', body: '{"metadata":{"name":"a"},"foo":1}', headers: json })
  expect(answer.code).toBe(201)
  expect(answer.headers['warning']).toBe('299 - "unknown field \\"foo\\""')
})

test('logs and exec reach the pod, and the exit code comes back', async () => {
  const streams: PodStreams = {
    async *log(ref, options) {
      yield Buffer.from(`${ref.node} ${ref.container} tail=${options.tailLines}\n`)
    },
    async *exec(ref, options, input) {
      yield { type: 'stderr', data: Buffer.from(`${ref.container}: ${options.command.join(' ')}`) }
      for await (const one of input) {
        if (one.type === 'stdin') yield { type: 'stdout', data: one.data }
        if (one.type === 'stdinEnd') break
      }
      yield { type: 'exit', code: 3 }
    },
  }
  await using served = await createServedWorld({ streams })
  const client = served.client()
  const { signal } = served.world
  await client.create(Node, fresh(node()), { signal })
  const made = await client.create(Pod, fresh(pod()), { signal })
  expect((await ask(served, '/api/v1/namespaces/default/pods/web/log')).text).toMatch(/not assigned to a node/)
  await client.bind(made, 'node-1', { signal })
  expect((await ask(served, '/api/v1/namespaces/default/pods/web/log?tailLines=5')).text).toBe('node-1 web tail=5\n')
  expect((await ask(served, '/api/v1/namespaces/default/pods/web/log?container=x')).code).toBe(400)
  async function* input() {
    yield { type: 'stdin', data: Buffer.from('hello') } as const
    yield { type: 'stdinEnd' } as const
  }
  const ref = { namespace: 'default', pod: 'web', uid: '', node: '', container: '' }
  const options = { command: ['cat'], stdin: true, stdout: true, stderr: true, tty: false }
  const seen: string[] = []
  for await (const one of served.remoteStreams.exec(ref, options, input(), { signal }))
    seen.push(one.type === 'exit' ? `exit ${one.code}` : `${one.type} ${Buffer.from(one.data)}`)
  expect(seen).toEqual(['stderr web: cat', 'stdout hello', 'exit 3'])
  const socket = new WebSocket(
    `${served.url.replace('https', 'wss')}/api/v1/namespaces/default/pods/web/exec?command=x&stdout=1`,
    'v5.channel.k8s.io',
    { ca: served.ca },
  )
  const code = await new Promise((resolve) =>
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode)).on('error', () => undefined),
  )
  expect(code).toBe(401)
})

test('stopping ends watches in order and soon', async () => {
  const served = await createServedWorld()
  const watching = ask(served, `${configMaps}?watch=1`)
  const client = served.client()
  await client.create(ConfigMap, fresh(configMap()), { signal: served.world.signal })
  await served[Symbol.asyncDispose]()
  expect((await watching).text).toMatch(/^\{"type":"ADDED".*\n$/)
})

test('too many requests at once are turned away with a time to come again', async () => {
  await using served = await createServedWorld({ limits: { inFlight: 0 } })
  const answer = await ask(served, configMaps)
  expect([answer.code, answer.headers['retry-after']]).toEqual([429, '1'])
})
