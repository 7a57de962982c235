import { connect } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { schemaNode } from '../../api/derive/schema-node.ts'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import { Deployment } from '../../api/kinds/deployment.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { encodeProtobuf } from '../../api/testing/protobuf-encoder.ts'
import { type Answer, type AskOptions, ask } from '../testing/ask.ts'
import { createServedWorld, type ServedWorld } from '../testing/served-world.ts'
import { placeInStore } from '../testing/world.ts'

const room = '/api/v1/namespaces/default'
const configMaps = `${room}/configmaps`
const pods = `${room}/pods`
const deployments = '/apis/apps/v1/namespaces/default/deployments'
const json = { 'content-type': 'application/json' }
const yaml = { 'content-type': 'application/yaml' }
const protobuf = { 'content-type': 'application/vnd.kubernetes.protobuf' }

const post = (body: unknown): AskOptions => ({
  method: 'POST',
  headers: json,
  body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
})
const named = (name: unknown, more: object = {}) => post({ metadata: { name }, ...more })
const asYaml = (body: string): AskOptions => ({ method: 'POST', headers: yaml, body })
const patch = (type: string, body: unknown): AskOptions => ({
  method: 'PATCH',
  headers: { 'content-type': `application/${type}+json` },
  body: JSON.stringify(body),
})
const pod = (spec: object) => named('p', { spec: { containers: [{ name: 'a', image: 'a' }], ...spec } })
const container = (more: object) => pod({ containers: [{ name: 'a', image: 'a', ...more }] })
const deployment = (spec: object, template: object = {}) =>
  named('d', {
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a', image: 'a' }], ...template } },
      ...spec,
    },
  })
const long = (unit: string): string => unit.repeat(50_000)

type Row = readonly [what: string, path: string, AskOptions, code: number, says: RegExp]

const bodies: readonly Row[] = [
  ['half a million quotes', configMaps, post(`{"a":"${'\\"'.repeat(1_000_000)}`), 400, /no valid JSON/],
  ['nesting of 101', configMaps, post(`{"a":${'['.repeat(100)}${']'.repeat(100)}}`), 400, /nested deeper/],
  ['nested maps', configMaps, post(`${'{"a":'.repeat(100_000)}`), 400, /nested deeper/],
  ['nested YAML flow', configMaps, asYaml('['.repeat(100_000)), 400, /nested deeper/],
  ['nested YAML maps', configMaps, asYaml('{a: '.repeat(50_000)), 400, /nested deeper/],
  ['nested YAML lists', configMaps, asYaml('- '.repeat(100_000)), 400, /nested deeper/],
  [
    'nested YAML blocks',
    configMaps,
    asYaml(Array.from({ length: 600 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')),
    400,
    /nested deeper/,
  ],
  ['errors all over', configMaps, asYaml('"'.repeat(200_000)), 400, /pieces/],
  ['anchors all over', configMaps, asYaml('&a '.repeat(20_000)), 400, /no valid YAML: line 1, column/],
  ['YAML of some size', configMaps, asYaml(`a: ${'x'.repeat(256 * 1024)}`), 413, /send JSON/],
  [
    'merged keys',
    configMaps,
    asYaml(`a: &a {${Array.from({ length: 5_000 }, (_, i) => `k${i}: 1`).join(',')}}\nb:\n  <<: [${'*a,'.repeat(2_000)}]`),
    400,
    /pieces|aliases/,
  ],
  [
    'a key twice in a nested map of YAML',
    configMaps,
    asYaml('metadata: {name: a}\ndata:\n  a: b\n  a: c\n'),
    400,
    /line 4, column 3: map keys must be unique/,
  ],
  [
    '200,000 unknown keys',
    `${configMaps}?fieldValidation=Strict`,
    post(`{${Array.from({ length: 200_000 }, (_, i) => `"k${i}":1`).join(',')}}`),
    400,
    /and 199950 more/,
  ],
  [
    'packed',
    configMaps,
    { ...post(gzipSync(Buffer.alloc(4_000_000))), headers: { ...json, 'content-encoding': 'gzip' } },
    415,
    /gzip/,
  ],
  ['no UTF-8', configMaps, post(Buffer.from([0x22, 0xff, 0x22])), 400, /UTF-8/],
  ['half a surrogate pair', configMaps, post('{"metadata":{"name":"a"},"data":{"k":"\\ud800"}}'), 400, /data\.k: .*surrogate/],
  ['half a pair as a key', configMaps, post('{"metadata":{"name":"a"},"data":{"\\uDC00":"v"}}'), 400, /data.*surrogate/],
  [
    'a key twice in other letters',
    `${configMaps}?fieldValidation=Strict`,
    post('{"metadata":{"name":"a"},"data":{"k":"1","\\u006b":"2"}}'),
    400,
    /duplicate field .*data\.k/,
  ],
  ['a kind that is no text', configMaps, post({ kind: { toString: 1, valueOf: 1 } }), 400, /an object/],
  ['protobuf cut off', configMaps, { method: 'POST', headers: protobuf, body: cut() }, 400, /protobuf/],
  ['protobuf that is none', configMaps, { method: 'POST', headers: protobuf, body: Buffer.alloc(1_000, 0xff) }, 400, /protobuf/],
]

function cut(): Buffer {
  const whole = encodeProtobuf(schemaNode(ConfigMap.schema), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a' },
    data: { k: 'v' },
  })
  return Buffer.from(whole.subarray(0, -9))
}

const places: readonly Row[] = [
  ...['..', 'a/b', '%2e%2e', 'a'.repeat(254), 'A', 'a.', '-', 'a\u0000'].map(
    (name): Row => [`the name ${JSON.stringify(name)}`, configMaps, named(name), 422, /metadata\.name/],
  ),
  ['no name', configMaps, named(''), 422, /metadata\.name/],
  ['an escaped slash', `${configMaps}/a%2fb`, {}, 404, /could not find/],
  ['escaped dots', `${configMaps}/%2e%2e`, {}, 404, /could not find|not found/],
  ['two slashes', '/api/v1//configmaps', {}, 404, /could not find/],
  ['a broken escape', `${configMaps}/%zz`, {}, 404, /could not find/],
  ['a long path', `/${'a'.repeat(15_000)}`, {}, 404, /could not find/],
  ...['__proto__', 'constructor', 'toString'].map(
    (name): Row => [`the kind ${name}`, `${room}/${name}`, {}, 404, /could not find/],
  ),
  ...['__proto__', 'constructor', 'hasOwnProperty'].map(
    (name): Row => [`the group ${name}`, `/apis/${name}/v1/pods`, {}, 404, /could not find/],
  ),
  ['the namespace constructor', '/api/v1/namespaces/constructor/configmaps', named('a'), 404, /constructor/],
  ['the object __proto__', `${configMaps}/__proto__`, {}, 404, /not found/],
  ['another kind', configMaps, post({ kind: 'Secret', apiVersion: 'v1', metadata: { name: 'a' } }), 400, /Secret/],
  ['another version', configMaps, post({ kind: 'ConfigMap', apiVersion: 'v2', metadata: { name: 'a' } }), 400, /v2/],
  ['another name', `${configMaps}/kept`, { ...named('b'), method: 'PUT' }, 400, /does not match the name/],
  ['another namespace', configMaps, post({ metadata: { name: 'a', namespace: 'b' } }), 400, /does not match the namespace/],
]

const values: readonly Row[] = [
  ...[-1, 2 ** 31, 1.5, '3'].map(
    (n): Row => [
      `${n} replicas`,
      deployments,
      deployment({ replicas: n }),
      typeof n === 'string' || n === 1.5 ? 400 : 422,
      /spec\.replicas/,
    ],
  ),
  ['1e400 replicas', deployments, post('{"metadata":{"name":"d"},"spec":{"replicas":1e400}}'), 422, /spec\.replicas/],
  ['a number in hexadecimal', deployments, post('{"spec":{"replicas":0x10}}'), 400, /no valid JSON/],
  ['NaN', deployments, post('{"spec":{"replicas":NaN}}'), 400, /no valid JSON/],
  [
    'a grace of 2^53+1',
    pods,
    post(
      '{"metadata":{"name":"p"},"spec":{"containers":[{"name":"a","image":"a"}],"terminationGracePeriodSeconds":9007199254740993}}',
    ),
    422,
    /terminationGracePeriodSeconds/,
  ],
  ['a selector of everything', deployments, deployment({ selector: {} }), 422, /spec\.selector/],
  [
    'a selector of others',
    deployments,
    deployment({ selector: { matchLabels: { a: 'c' } } }),
    422,
    /spec\.template\.metadata\.labels/,
  ],
  ['no container', pods, pod({ containers: [] }), 422, /spec\.containers/],
  [
    'one name twice',
    pods,
    pod({
      containers: [
        { name: 'a', image: 'a' },
        { name: 'a', image: 'b' },
      ],
    }),
    422,
    /spec\.containers\[1\]\.name/,
  ],
  [
    'a request over the limit',
    pods,
    container({ resources: { limits: { cpu: '1' }, requests: { cpu: '2' } } }),
    422,
    /resources\.requests/,
  ],
  ['port 0', pods, container({ ports: [{ containerPort: 0 }] }), 422, /containerPort/],
  ['port 65536', pods, container({ ports: [{ containerPort: 65_536 }] }), 422, /containerPort/],
  ['a mount of no volume', pods, container({ volumeMounts: [{ name: 'v', mountPath: '/a' }] }), 422, /volumeMounts\[0\]\.name/],
  [
    'a probe without period',
    pods,
    container({ readinessProbe: { tcpSocket: { port: 1 }, periodSeconds: -1 } }),
    422,
    /periodSeconds/,
  ],
  ['a long quantity', pods, container({ resources: { limits: { cpu: long('9') } } }), 422, /limits/],
  ['a quantity with a long exponent', pods, container({ resources: { limits: { cpu: '1e999999999' } } }), 422, /limits/],
  ['a long name', configMaps, named(long('a-')), 422, /metadata\.name/],
  ['a long label', configMaps, post({ metadata: { name: 'a', labels: { a: long('a.') } } }), 422, /labels/],
  ['a long label key', configMaps, post({ metadata: { name: 'a', labels: { [long('a-')]: 'a' } } }), 422, /labels/],
  ['a long port name', pods, container({ ports: [{ containerPort: 1, name: long('a-') }] }), 422, /ports\[0\]\.name/],
  ['a type of a Secret from birth', `${room}/secrets`, named('s', { type: 'constructor', immutable: 'x' }), 400, /immutable/],
  ['the owner is no object', configMaps, post({ metadata: { name: 'a', ownerReferences: ['a'] } }), 400, /ownerReferences\[0\]/],
  [
    'an owner without uid',
    configMaps,
    post({ metadata: { name: 'a', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: '' }] } }),
    422,
    /ownerReferences\[0\]\.uid/,
  ],
]

const kept = `${configMaps}/kept`
const patches: readonly Row[] = [
  [
    '10,001 operations',
    kept,
    patch(
      'json-patch',
      Array.from({ length: 10_001 }, () => ({ op: 'test', path: '', value: 1 })),
    ),
    413,
    /at most/,
  ],
  [
    'copies that double',
    kept,
    patch(
      'json-patch',
      Array.from({ length: 60 }, (_, i) => ({ op: 'copy', from: '/metadata', path: `/metadata/x${i}` })),
    ),
    413,
    /values/,
  ],
  ['a test that fails', kept, patch('json-patch', [{ op: 'test', path: '/data/k', value: 'x' }]), 422, /test/],
  ['the index -1', kept, patch('json-patch', [{ op: 'add', path: '/metadata/finalizers/-1', value: 'x' }]), 422, /-1|finalizers/],
  ['a merge of null', kept, patch('merge-patch', null), 400, /object/],
  ['a merge of the data as text', kept, patch('merge-patch', { data: 'x' }), 400, /data: expected object/],
  ['a directive of nonsense', kept, patch('strategic-merge-patch', { $patch: { toString: 1 } }), 400, /\$patch/],
  ['an empty patch', kept, { method: 'PATCH', headers: { 'content-type': 'application/merge-patch+json' } }, 400, /JSON/],
  ['a stale revision', kept, { ...post({ metadata: { name: 'kept', resourceVersion: '1' } }), method: 'PUT' }, 409, /modified/],
  [
    'a negative revision',
    kept,
    { ...post({ metadata: { name: 'kept', resourceVersion: '-1' } }), method: 'PUT' },
    400,
    /resourceVersion/,
  ],
]

const token = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const queries: readonly Row[] = [
  ['the limit -1', `${configMaps}?limit=-1`, {}, 400, /limit/],
  ['a forged token', `${configMaps}?limit=1&continue=${token({ revision: 5, after: '/other' })}`, {}, 400, /continue/],
  [
    'a token of the future',
    `${configMaps}?limit=1&continue=${token({ revision: 1e9, after: placeInStore(ConfigMap, 'default', 'a'), namespace: 'default' })}`,
    {},
    400,
    /continue|future/,
  ],
  ['a revision that is none', `${configMaps}?resourceVersion=1e3`, {}, 400, /resourceVersion/],
  ['3,000 terms', `${configMaps}?labelSelector=${'a,'.repeat(3_000)}a`, {}, 400, /more than 100/],
  ['open brackets', `${configMaps}?labelSelector=${'a in (,'.repeat(2_000).replaceAll(' ', '+')}`, {}, 400, /requirement/],
  ['a watch of a revision that is none', `${configMaps}?watch=1&resourceVersion=x`, {}, 400, /resourceVersion/],
  ['a watch until never', `${configMaps}?watch=1&timeoutSeconds=-1`, {}, 400, /timeoutSeconds/],
  [
    'a grace that is an object',
    kept,
    { method: 'DELETE', headers: json, body: '{"gracePeriodSeconds":{"toString":1}}' },
    400,
    /gracePeriodSeconds/,
  ],
  [
    'a policy that is a list',
    kept,
    { method: 'DELETE', headers: json, body: '{"propagationPolicy":[["x"]]}' },
    400,
    /propagationPolicy/,
  ],
  ['a dry run that is a text', kept, { method: 'DELETE', headers: json, body: '{"dryRun":"All"}' }, 400, /dryRun/],
]

/** Of processor time, of server and client: others may use the machine, too. */
const answeredMs = 2_000

async function refusedOne(served: ServedWorld, [what, path, options, code, says]: Row): Promise<void> {
  const before = served.world.store.revision
  const start = process.cpuUsage()
  const answer = await ask(served, path, options)
  const { user, system } = process.cpuUsage(start)
  expect([what, answer.code, answer.text]).toEqual([what, code, expect.stringMatching(says)])
  expect([what, JSON.parse(answer.text)]).toEqual([what, expect.objectContaining({ kind: 'Status', status: 'Failure', code })])
  expect([what, (user + system) / 1000 < answeredMs]).toEqual([what, true])
  expect([what, served.world.store.revision]).toEqual([what, before])
}

test.each([
  ['bodies', bodies],
  ['places', places],
  ['values', values],
  ['patches', patches],
  ['queries', queries],
])(
  'bad %s are refused with the right status, soon, and change nothing',
  async (_, rows) => {
    await using served = await createServedWorld()
    expect((await ask(served, configMaps, named('kept', { data: { k: 'v' } }))).code).toBe(201)
    for (const row of rows) await refusedOne(served, row)
    expect(Object.keys(Object.prototype)).toEqual([])
    expect(Reflect.get({}, 'x')).toBeUndefined()
    expect((await ask(served, kept)).code).toBe(200)
  },
  30_000,
)

test('words from birth are data like others: names, labels, keys', async () => {
  await using served = await createServedWorld()
  const words = ['constructor', 'toString', 'hasOwnProperty', 'length', 'valueOf', 'then']
  const all = Object.fromEntries(words.map((word) => [word, 'v']))
  expect((await ask(served, '/api/v1/namespaces', named('constructor'))).code).toBe(201)
  const at = '/api/v1/namespaces/constructor/configmaps'
  const made = await ask(served, at, post({ metadata: { name: 'constructor', labels: all, annotations: all }, data: all }))
  expect(made.code).toBe(201)
  expect(JSON.parse((await ask(served, `${at}/constructor`)).text)).toMatchObject({
    metadata: { labels: all, annotations: all },
    data: all,
  })
  expect(JSON.parse((await ask(served, `${at}?labelSelector=constructor%3Dv`)).text).items).toHaveLength(1)
  expect(JSON.parse((await ask(served, `${configMaps}?labelSelector=toString`)).text).items).toHaveLength(0)
  expect((await ask(served, `${room}/secrets`, named('s', { type: 'constructor' }))).code).toBe(201)
})

test.each(['a\u0000b', '\u202eabc', '😀', '\ufeffx', 'a\r\nb', '"\\'])('the text %j comes back as it was', async (text) => {
  await using served = await createServedWorld()
  await ask(served, configMaps, named('a', { data: { k: text } }))
  expect(JSON.parse((await ask(served, `${configMaps}/a`)).text).data).toEqual({ k: text })
})

test('a grace of millions of years is cut to what can be written', async () => {
  await using served = await createServedWorld()
  const { code } = await ask(served, pods, pod({ nodeName: 'n', terminationGracePeriodSeconds: Number.MAX_SAFE_INTEGER }))
  expect(code).toBe(201)
  const gone = await ask(served, `${pods}/p`, { method: 'DELETE' })
  expect([gone.code, JSON.parse(gone.text).metadata.deletionGracePeriodSeconds]).toEqual([200, 1_000_000_000])
  const sooner = await ask(served, `${pods}/p?gracePeriodSeconds=999999999999999`, { method: 'DELETE' })
  expect(sooner.code).toBe(200)
})

test('a watch without end lasts, and one of a second ends', async () => {
  await using served = await createServedWorld()
  const stop = new AbortController()
  const lasting = served.client().watch(Pod, { namespace: 'default', signal: stop.signal, resourceVersion: '1' })
  const reading = (async () => {
    for await (const _ of lasting);
  })().catch(() => 'cut')
  const ended = await ask(served, `${pods}?watch=1&timeoutSeconds=1`)
  expect(ended.code).toBe(200)
  stop.abort()
  await reading
  const huge = ask(served, `${pods}?watch=1&timeoutSeconds=999999999999999`)
  expect(await Promise.race([huge, new Promise((resolve) => setTimeout(resolve, 300, 'lasts'))])).toBe('lasts')
  huge.catch(() => undefined)
})

test('an object that owns itself, and owners in a circle, are data', async () => {
  await using served = await createServedWorld()
  const made = JSON.parse((await ask(served, configMaps, named('a'))).text)
  const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'a', uid: made.metadata.uid }
  const own = await ask(served, `${configMaps}/a`, patch('merge-patch', { metadata: { ownerReferences: [owner] } }))
  expect(own.code).toBe(200)
  expect((await ask(served, `${configMaps}/a`, { method: 'DELETE' })).code).toBe(200)
  expect((await ask(served, `${configMaps}/a`)).code).toBe(404)
})

test.each([
  ['no JSON', Buffer.from('{"kind":')],
  ['nothing', Buffer.alloc(0)],
  ['another kind', Buffer.from('{"apiVersion":"v1","kind":"Secret","metadata":{"name":"broken","namespace":"default"}}')],
  ['a version of the future', Buffer.from([0xff, 0x09, 1, 2, 3])],
])('a stored value that is %s: the list answers for the rest, the object says so and can be deleted', async (_, value) => {
  await using served = await createServedWorld()
  await ask(served, configMaps, named('good'))
  const { store, cache, signal } = served.world
  const key = placeInStore(ConfigMap, 'default', 'broken')
  await store.commit({ conditions: [{ key, modRevision: 0 }], writes: [{ put: key, value }] }, { signal })
  await cache.waitFor(store.revision, { signal })
  const listed = JSON.parse((await ask(served, configMaps)).text)
  expect(listed.items.map((one: { metadata: { name: string } }) => one.metadata.name)).toEqual(['good'])
  const got = await ask(served, `${configMaps}/broken`)
  expect([got.code, got.text]).toEqual([500, expect.stringContaining('broken')])
  expect((await ask(served, `${configMaps}/broken`, { method: 'DELETE' })).code).toBe(200)
  expect((await ask(served, `${configMaps}/broken`)).code).toBe(404)
})

/** What a server answers to bytes as they are, until it closes. */
function raw(served: ServedWorld, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const { port } = new URL(served.url)
    const socket = connect({ port: Number(port), host: '127.0.0.1', ca: served.ca, ...served.admin, ALPNProtocols: ['http/1.1'] })
    let text = ''
    socket.setTimeout(5_000, () => socket.destroy())
    socket.on('secureConnect', () => socket.write(bytes))
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(text))
  })
}

const head = (...lines: readonly string[]): string => `${['GET /version HTTP/1.1', 'Host: a', ...lines].join('\r\n')}\r\n\r\n`

test.each([
  ['a header of 100 kB', head(`X: ${'a'.repeat(100_000)}`), /^HTTP\/1\.1 431 /],
  ['10,000 headers', head(...Array.from({ length: 10_000 }, (_, i) => `X${i}: a`)), /^HTTP\/1\.1 431 /],
  ['two lengths', head('Content-Length: 3', 'Transfer-Encoding: chunked'), /^HTTP\/1\.1 400 /],
  ['a length that is none', head('Content-Length: x'), /^HTTP\/1\.1 400 /],
  ['no HTTP', 'hello\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['a NUL in the path', 'GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 400 |^$/],
  [
    'an absolute address',
    'GET https://evil.example/version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    /^HTTP\/1\.1 404 /,
  ],
  ['requests in a row', `${head()}${head('Connection: close')}`, /200 OK[\s\S]*200 OK/],
])('%s: refused or answered, and the server goes on', async (_, bytes, says) => {
  await using served = await createServedWorld()
  expect(await raw(served, bytes)).toMatch(says)
  expect((await ask(served, '/version')).code).toBe(200)
})

test('a body without length is cut at the limit, and its sender is told why', async () => {
  await using served = await createServedWorld({ limits: { bodyBytes: 10_000 } })
  const chunk = `${(4_096).toString(16)}\r\n${'x'.repeat(4_096)}\r\n`
  const start = `POST ${configMaps} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`
  expect(await raw(served, `${start}${chunk.repeat(4)}`)).toMatch(/^HTTP\/1\.1 413 [\s\S]*more than 10000 bytes/)
})

test('a body that is shorter than said is no request', async () => {
  await using served = await createServedWorld({ limits: { requestMs: 300 } })
  const before = served.world.store.revision
  const text = await raw(
    served,
    `POST ${configMaps} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"metadata":{"name":"a"}}`,
  )
  expect(text).toMatch(/^HTTP\/1\.1 504 |^$/)
  expect(served.world.store.revision).toBe(before)
})

test('hundreds at once are each answered for themselves', async () => {
  await using served = await createServedWorld()
  const wishes = Array.from(
    { length: 200 },
    (_, i): Promise<Answer> => ask(served, deployments, i % 2 === 0 ? named(`d${i}`) : post('{')),
  )
  const codes = (await Promise.all(wishes)).map(({ code }) => code)
  expect([codes.filter((code) => code === 422).length, codes.filter((code) => code === 400).length]).toEqual([100, 100])
  expect(served.world.cache.list(Deployment)).toHaveLength(0)
})
