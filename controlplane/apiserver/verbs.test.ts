// What clients of any language rely on, asked for as they do: over HTTP, in the API's own words.
import { expect, test } from 'vitest'
import WebSocket from 'ws'
import { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { Secret } from '../../api/kinds/secret.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { PodStreams } from '../../api/meta/streams.ts'
import { deployment, node, override, pod, secret } from '../../api/testing/builders.ts'
import { encodeProtobuf } from '../../api/testing/protobuf-encoder.ts'
import { type AskOptions, ask } from '../testing/ask.ts'
import { createServedWorld, noStreams, type ServedWorld } from '../testing/served-world.ts'

const fresh = <O extends ApiObject>(object: O): O =>
  // Without what only the server sets.
  override(object, { metadata: { uid: undefined, creationTimestamp: undefined } } as never)

const configMaps = '/api/v1/namespaces/default/configmaps'
const pods = '/api/v1/namespaces/default/pods'
const deployments = '/apis/apps/v1/namespaces/default/deployments'

interface Told {
  readonly code: number
  /** Looked into freely, as a client without types does. */
  readonly body: Readonly<Record<string, unknown>> & { readonly metadata: Readonly<Record<string, unknown>> }
}

async function tell(served: ServedWorld, method: string, path: string, body?: unknown, options: AskOptions = {}): Promise<Told> {
  const headers = { 'content-type': 'application/json', ...options.headers }
  const sent = body === undefined ? {} : { body: Buffer.isBuffer(body) ? body : JSON.stringify(body) }
  const { code, text } = await ask(served, path, { method, ...sent, ...options, headers })
  return { code, body: JSON.parse(text) }
}

const named = (name: string, more: object = {}) => ({ metadata: { name, ...more }, data: { a: '1' } })
const namesOf = async (served: ServedWorld, path = configMaps): Promise<readonly string[]> => {
  const list = JSON.parse((await ask(served, path)).text) as { items: readonly ApiObject[] }
  return list.items.map(({ metadata }) => metadata.name ?? '')
}

test('a stale resourceVersion is a conflict, whoever writes and deletes with it', async () => {
  await using served = await createServedWorld()
  const { body: made } = await tell(served, 'POST', configMaps, named('a'))
  await tell(served, 'PUT', `${configMaps}/a`, { ...made, data: { a: '2' } })
  const stale = await tell(served, 'PUT', `${configMaps}/a`, { ...made, data: { a: '3' } })
  expect([stale.code, stale.body['reason']]).toEqual([409, 'Conflict'])
  expect(stale.body['message']).toMatch(/the object has been modified; please apply your changes to the latest version/)
  const patch = await tell(
    served,
    'PATCH',
    `${configMaps}/a`,
    { metadata: { resourceVersion: made.metadata['resourceVersion'] }, data: { a: '4' } },
    { headers: { 'content-type': 'application/merge-patch+json' } },
  )
  expect(patch.code).toBe(409)
  const preconditions = { resourceVersion: made.metadata['resourceVersion'] }
  expect((await tell(served, 'DELETE', `${configMaps}/a`, { preconditions })).code).toBe(409)
  expect((await tell(served, 'GET', `${configMaps}/a`)).body['data']).toEqual({ a: '2' })
})

test('a watch from a revision that is no longer known ends with 410', async () => {
  await using served = await createServedWorld({ historyPerKind: 3 })
  for (let i = 0; i < 10; i++) await tell(served, 'POST', configMaps, named(`c${i}`))
  const { text } = await ask(served, `${configMaps}?watch=1&resourceVersion=2`)
  expect(JSON.parse(text)).toMatchObject({
    type: 'ERROR',
    object: {
      kind: 'Status',
      status: 'Failure',
      code: 410,
      reason: 'Expired',
      message: expect.stringMatching(/too old resource version: 2/),
    },
  })
})

test('pages follow each other by limit and continue, until one has no continue', async () => {
  await using served = await createServedWorld()
  for (const name of ['a', 'b', 'c', 'd', 'e']) await tell(served, 'POST', configMaps, named(name))
  const seen: string[] = []
  let token = ''
  do {
    const page = await tell(served, 'GET', `${configMaps}?limit=2&continue=${encodeURIComponent(token)}`)
    const items = page.body['items'] as readonly ApiObject[]
    expect(items.length).toBeLessThanOrEqual(2)
    seen.push(...items.map(({ metadata }) => metadata.name ?? ''))
    token = String(page.body.metadata['continue'] ?? '')
  } while (token !== '')
  expect(seen).toEqual(['a', 'b', 'c', 'd', 'e'])
})

test('a dry run answers as if, and changes nothing', async () => {
  await using served = await createServedWorld()
  const { body: made } = await tell(served, 'POST', configMaps, named('a'))
  const before = served.world.store.revision
  const created = await tell(served, 'POST', `${configMaps}?dryRun=All`, named('b'))
  expect([created.code, typeof created.body.metadata['uid']]).toEqual([201, 'string'])
  expect((await tell(served, 'POST', `${configMaps}?dryRun=All`, named('a'))).code).toBe(409)
  const changed = await tell(served, 'PUT', `${configMaps}/a?dryRun=All`, { ...made, data: { a: '2' } })
  expect([changed.code, changed.body['data']]).toEqual([200, { a: '2' }])
  expect((await tell(served, 'DELETE', `${configMaps}/a`, { dryRun: ['All'] })).code).toBe(200)
  expect((await tell(served, 'POST', `${configMaps}?dryRun=Some`, named('c'))).code).toBe(400)
  expect(served.world.store.revision).toBe(before)
})

test('generateName gives each object a name of its own', async () => {
  await using served = await createServedWorld()
  const made = await Promise.all([1, 2, 3].map(() => tell(served, 'POST', configMaps, { metadata: { generateName: 'job-' } })))
  const names = made.map(({ body }) => body.metadata['name'] ?? '')
  for (const name of names) expect(name).toMatch(/^job-[a-z0-9]{5}$/)
  expect(new Set(names).size).toBe(3)
})

test('finalizers and propagation policies hold an object back, by body or by query', async () => {
  await using served = await createServedWorld()
  await tell(served, 'POST', configMaps, named('held', { finalizers: ['example.com/hold'] }))
  const going = await tell(served, 'DELETE', `${configMaps}/held`)
  expect(going.body.metadata['deletionTimestamp']).toMatch(/^\d{4}-/)
  const freed = await tell(served, 'PATCH', `${configMaps}/held`, [{ op: 'remove', path: '/metadata/finalizers' }], {
    headers: { 'content-type': 'application/json-patch+json' },
  })
  expect(freed.code).toBe(200)
  expect((await tell(served, 'GET', `${configMaps}/held`)).code).toBe(404)

  const finalizersAfter = async (name: string, query: string, body?: unknown) => {
    await tell(served, 'POST', deployments, fresh(deployment({ metadata: { name } })))
    await tell(served, 'DELETE', `${deployments}/${name}${query}`, body)
    return (await tell(served, 'GET', `${deployments}/${name}`)).body.metadata?.['finalizers']
  }
  expect(await finalizersAfter('a', '?propagationPolicy=Foreground')).toEqual(['foregroundDeletion'])
  expect(await finalizersAfter('b', '', { propagationPolicy: 'Orphan' })).toEqual(['orphan'])
  expect(await finalizersAfter('c', '?propagationPolicy=Background')).toBeUndefined()
  const wrong = await tell(served, 'DELETE', `${deployments}/a?propagationPolicy=Sideways`)
  expect([wrong.code, wrong.body['message']]).toEqual([400, expect.stringMatching(/propagationPolicy: .*"Sideways"/)])
})

test('deletecollection takes what the selector matches, and nothing else', async () => {
  await using served = await createServedWorld()
  for (const [name, app] of [
    ['a', 'x'],
    ['b', 'x'],
    ['c', 'y'],
  ] as const)
    await tell(served, 'POST', configMaps, named(name, { labels: { app } }))
  const gone = await tell(served, 'DELETE', `${configMaps}?labelSelector=app%3Dx`)
  expect([gone.code, gone.body['kind']]).toEqual([200, 'ConfigMapList'])
  expect(await namesOf(served)).toEqual(['c'])
  await tell(served, 'DELETE', configMaps)
  expect(await namesOf(served)).toEqual([])
})

test('labels and fields select, also with several conditions', async () => {
  await using served = await createServedWorld()
  await tell(served, 'POST', configMaps, named('a', { labels: { app: 'x', tier: 'web' } }))
  await tell(served, 'POST', configMaps, named('b', { labels: { app: 'x' } }))
  const select = (query: string) => namesOf(served, `${configMaps}?${query}`)
  expect(await select('labelSelector=app%3Dx,tier%21%3Dweb')).toEqual(['b'])
  expect(await select('labelSelector=tier')).toEqual(['a'])
  expect(await select('labelSelector=app+in+(x,y)')).toEqual(['a', 'b'])
  expect(await select('fieldSelector=metadata.name%3Da')).toEqual(['a'])
})

test('each kind of patch does what it says', async () => {
  await using served = await createServedWorld()
  await tell(served, 'POST', deployments, fresh(deployment()))
  const patch = (type: string, body: unknown) =>
    tell(served, 'PATCH', `${deployments}/web`, body, { headers: { 'content-type': `application/${type}+json` } })
  const containers = ({ body }: Told) =>
    (body['spec'] as { template: { spec: { containers: object[] } } }).template.spec.containers
  const strategic = await patch('strategic-merge-patch', {
    spec: { template: { spec: { containers: [{ name: 'second', image: 'b:1' }] } } },
  })
  expect(containers(strategic)).toHaveLength(2)
  const merged = await patch('merge-patch', {
    spec: { template: { spec: { containers: [{ name: 'only', image: 'c:1' }] } } },
  })
  expect(containers(merged)).toEqual([expect.objectContaining({ name: 'only', image: 'c:1' })])
  const json = await patch('json-patch', [{ op: 'replace', path: '/spec/replicas', value: 4 }])
  expect(json.body['spec']).toMatchObject({ replicas: 4 })
  const failed = await patch('json-patch', [{ op: 'test', path: '/spec/replicas', value: 5 }])
  expect(failed.code).toBe(422)
})

test('subresources scale, status and binding change their part only', async () => {
  await using served = await createServedWorld()
  await tell(served, 'POST', deployments, fresh(deployment()))
  const scale = await tell(served, 'GET', `${deployments}/web/scale`)
  expect(scale.body).toMatchObject({ kind: 'Scale', apiVersion: 'autoscaling/v1', spec: { replicas: 1 } })
  await tell(served, 'PUT', `${deployments}/web/scale`, { ...scale.body, spec: { replicas: 3 } })
  const scaled = await tell(served, 'GET', `${deployments}/web`)
  expect(scaled.body).toMatchObject({ spec: { replicas: 3 }, metadata: { generation: 2 } })
  const status = await tell(served, 'PUT', `${deployments}/web/status`, {
    ...scaled.body,
    spec: { ...(scaled.body['spec'] as object | undefined), replicas: 9 },
    status: { replicas: 2 },
  })
  expect(status.body).toMatchObject({ spec: { replicas: 3 }, status: { replicas: 2 } })

  await tell(served, 'POST', '/api/v1/nodes', fresh(node()))
  await tell(served, 'POST', pods, fresh(pod()))
  const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'web' }, target: { kind: 'Node', name: 'node-1' } }
  expect((await tell(served, 'POST', `${pods}/web/binding`, binding)).code).toBe(201)
  expect((await tell(served, 'GET', `${pods}/web`)).body['spec']).toMatchObject({ nodeName: 'node-1' })
  expect((await tell(served, 'POST', `${pods}/web/binding`, binding)).code).toBe(409)
})

test('a body may come as protobuf, as kubectl create sends it', async () => {
  await using served = await createServedWorld()
  const body = Buffer.from(encodeProtobuf(Secret.schema as never, fresh(secret()) as never))
  const made = await tell(served, 'POST', '/api/v1/namespaces/default/secrets', body, {
    headers: { 'content-type': 'application/vnd.kubernetes.protobuf', accept: 'application/json' },
  })
  expect([made.code, made.body['data']]).toEqual([201, { key: 'dmFsdWU=' }])
  const broken = await tell(served, 'POST', '/api/v1/namespaces/default/secrets', body.subarray(0, body.length - 7), {
    headers: { 'content-type': 'application/vnd.kubernetes.protobuf' },
  })
  expect(broken.code).toBe(400)
})

test('tables, discovery, health, schema and metrics are there to be read', async () => {
  await using served = await createServedWorld()
  await tell(served, 'POST', pods, fresh(pod()))
  const table = await tell(served, 'GET', pods, undefined, {
    headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' },
  })
  expect(table.body['kind']).toBe('Table')
  const columns = table.body['columnDefinitions'] as readonly { readonly name: string }[]
  expect(columns.map(({ name }) => name).slice(0, 5)).toEqual(['Name', 'Ready', 'Status', 'Restarts', 'Age'])
  expect((await tell(served, 'GET', '/apis/apps/v1')).body['resources']).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'deployments' }),
      expect.objectContaining({ name: 'deployments/scale' }),
    ]),
  )
  const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
  expect((await tell(served, 'GET', '/apis', undefined, { headers: { accept: aggregated } })).body['kind']).toBe(
    'APIGroupDiscoveryList',
  )
  expect((await tell(served, 'GET', '/openapi/v3')).body['paths']).toHaveProperty(['apis/apps/v1'])
  for (const path of ['/healthz', '/livez', '/readyz']) expect((await ask(served, path)).text).toBe('ok')
  const metrics = await ask(served, '/metrics')
  expect(metrics.headers['content-type']).toMatch(/^text\/plain/)
  expect(metrics.text).toMatch(/^skiff_apiserver_requests_total\{.*method="POST".*code="2xx".*\} 1$/m)
  const { cert, key } = await served.pki.issueNodeCert('node-1')
  expect((await ask(served, '/metrics', { as: { cert, key } })).code).toBe(403)
})

test('a node reaches its own pods and what they use, and nothing of others', async () => {
  await using served = await createServedWorld()
  const { signal } = served.world
  const admin = served.client()
  const using = override(fresh(pod()), {
    spec: { volumes: [{ name: 's', secret: { secretName: 'mine' } }] },
  } as never)
  for (const name of ['node-1', 'node-2']) await admin.create(Node, fresh(node({ metadata: { name } })), { signal })
  for (const name of ['mine', 'other']) await admin.create(Secret, fresh(secret({ metadata: { name } })), { signal })
  await admin.bind(await admin.create(Pod, using, { signal }), 'node-1', { signal })
  await admin.bind(await admin.create(Pod, fresh(pod({ metadata: { name: 'far' } })), { signal }), 'node-2', { signal })
  const as = await served.pki.issueNodeCert('node-1')
  const code = async (path: string, method = 'GET', body?: unknown, headers = {}): Promise<number> =>
    (await tell(served, method, path, body, { as, headers })).code
  const secrets = '/api/v1/namespaces/default/secrets'
  const status = [{ status: { phase: 'Running' } }, { 'content-type': 'application/merge-patch+json' }] as const
  expect(await code(`${pods}/web`)).toBe(200)
  expect(await code(`${pods}/web/status`, 'PATCH', ...status)).toBe(200)
  expect(await code(`${secrets}/mine`)).toBe(200)
  expect(await code(`${pods}/far`)).toBe(403)
  expect(await code(`${pods}/far/status`, 'PATCH', ...status)).toBe(403)
  expect(await code(`${pods}/far`, 'DELETE')).toBe(403)
  expect(await code(`${secrets}/other`)).toBe(403)
  expect(await code(secrets)).toBe(403)
  expect(await code('/api/v1/nodes/node-2/status', 'PATCH', ...status)).toBe(403)
  expect(await code(pods, 'POST', fresh(pod({ metadata: { name: 'new' } })))).toBe(403)
  expect(await code(deployments, 'POST', fresh(deployment()))).toBe(403)
})

test('exec over a WebSocket speaks v5: streams by their first byte, and a close of the input', async () => {
  const streams: PodStreams = {
    ...noStreams,
    async *exec(_ref, { command }, input) {
      yield { type: 'stderr', data: Buffer.from(command.join(' ')) }
      for await (const one of input) {
        if (one.type === 'stdin') yield { type: 'stdout', data: one.data }
        if (one.type === 'resize') yield { type: 'stdout', data: Buffer.from(`${one.width}x${one.height}`) }
        if (one.type === 'stdinEnd') break
      }
      yield { type: 'exit', code: 7 }
    },
  }
  await using served = await createServedWorld({ streams })
  const client = served.client()
  const { signal } = served.world
  await client.create(Node, fresh(node()), { signal })
  await client.bind(await client.create(Pod, fresh(pod()), { signal }), 'node-1', { signal })
  const url = `${served.url.replace('https', 'wss')}${pods}/web/exec?command=cat&command=-u&stdin=1&stdout=1&stderr=1`
  const { cert, key } = served.admin
  const socket = new WebSocket(url, ['v5.channel.k8s.io'], { ca: served.ca, cert, key })
  const seen: [number | undefined, string][] = []
  socket.on('message', (data: Buffer) => seen.push([data[0], data.subarray(1).toString()]))
  socket.on('open', () => {
    socket.send(Buffer.from('\x00hello'))
    socket.send(Buffer.from('\x04{"Width":80,"Height":25}'))
    socket.send(Buffer.from([255, 0]))
  })
  const closed = await new Promise((resolve, reject) => socket.on('close', resolve).on('error', reject))
  expect([socket.protocol, closed]).toEqual(['v5.channel.k8s.io', 1000])
  expect(seen.slice(0, 3)).toEqual([
    [2, 'cat -u'],
    [1, 'hello'],
    [1, '80x25'],
  ])
  expect(seen[3]?.[0]).toBe(3)
  expect(JSON.parse(seen[3]?.[1] ?? '')).toMatchObject({
    status: 'Failure',
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: '7' }] },
  })
})

test('an object that is none, and options that are none, are refused before anything is written', async () => {
  await using served = await createServedWorld()
  const before = served.world.store.revision
  const cases: readonly (readonly [method: string, path: string, body: unknown, code: number])[] = [
    ['POST', configMaps, [], 400],
    ['POST', configMaps, null, 400],
    ['POST', configMaps, 'text', 400],
    ['POST', configMaps, { metadata: [] }, 400],
    ['POST', '/api/v1/configmaps', named('a'), 405],
    ['POST', '/api/v1/namespaces/nowhere/configmaps', named('a'), 404],
    ['POST', configMaps, { ...named('a'), apiVersion: 'v2' }, 400],
    ['POST', '/apis/apps/v2/namespaces/default/deployments', {}, 404],
    ['PUT', `${configMaps}/a`, named('b'), 400],
    ['PUT', `${configMaps}/a`, named('a'), 404],
    ['DELETE', `${configMaps}/a`, [], 400],
    ['DELETE', `${configMaps}/a?gracePeriodSeconds=soon`, undefined, 400],
    ['GET', `${configMaps}?watch=perhaps`, undefined, 400],
    ['GET', `${configMaps}?resourceVersionMatch=Exact`, undefined, 400],
  ]
  for (const [method, path, body, code] of cases) {
    const answer = await tell(served, method, path, body)
    expect([method, path, body, answer.code, answer.body['kind']]).toEqual([method, path, body, code, 'Status'])
  }
  expect(served.world.store.revision).toBe(before)
})
