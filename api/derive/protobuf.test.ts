import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Deployment } from '../kinds/deployment.ts'
import { Event } from '../kinds/event.ts'
import { Pod } from '../kinds/pod.ts'
import { kinds } from '../kinds/registry.ts'
import { Secret } from '../kinds/secret.ts'
import { StatusError } from '../meta/status.ts'
import { builders } from '../testing/builders.ts'
import { encodeProtobuf } from '../testing/protobuf-encoder.ts'
import { decodeProtobuf } from './protobuf.ts'
import { bodySchema } from './protobuf-bodies.ts'
import { type SchemaNode, schemaNode } from './schema-node.ts'
import { decodeObject } from './validate.ts'

const hex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
const refusal = (bytes: Uint8Array): string => {
  try {
    decodeProtobuf(bytes)
  } catch (err) {
    if (err instanceof StatusError) return `${err.status.code} ${err.message}`
    throw err
  }
  return 'accepted'
}

/** What kubectl 1.32 sent, recorded from the wire. */
const recorded = [
  {
    command: 'create deployment',
    body:
      '6b3873000a150a07617070732f7631120a4465706c6f796d656e7412ca010a1f0a0377656212001a0022002a003200380042' +
      '005a0a0a0361707012037765621298010802120c0a0a0a0361707012037765621a7e0a1c0a0012001a0022002a0032003800' +
      '42005a0a0a036170701203776562125e12400a056e67696e7812076e67696e783a311a0273681a022d631a066563686f2061' +
      '2a00320a0a001000185022002a0042006a007200800100880100900100a201001a00320042004a0052005800600068008201' +
      '008a01009a0100c2010022020a00280038001a0c0800100018002000280038001a002200',
    object: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', labels: { app: 'web' } },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: {
            containers: [
              { name: 'nginx', image: 'nginx:1', command: ['sh', '-c', 'echo a'], ports: [{ containerPort: 80 }], resources: {} },
            ],
          },
        },
        strategy: {},
      },
      status: {},
    },
  },
  {
    command: 'create configmap',
    body:
      '6b3873000a0f0a0276311209436f6e6669674d617012230a110a016312001a0022002a0032003800420012060a0161120162' +
      '12060a01631201641a002200',
    object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { a: 'b', c: 'd' } },
  },
  {
    command: 'create secret',
    body: '6b3873000a0c0a0276311206536563726574121d0a110a017312001a0022002a0032003800420012060a01611201621a001a' + '002200',
    object: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { a: 'Yg==' } },
  },
  {
    command: 'create namespace',
    body: '6b3873000a0f0a02763112094e616d65737061636512190a110a017812001a0022002a0032003800420012001a020a001a00' + '2200',
    object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' }, spec: {}, status: {} },
  },
  {
    command: 'create service nodeport',
    body:
      '6b3873000a0d0a02763112075365727669636512680a1d0a026e7012001a0022002a003200380042005a090a036170701202' +
      '6e7012430a1e0a0738302d6874747012035443501850220a080110001a0468747470280012090a0361707012026e701a0022' +
      '084e6f6465506f72743a00420052005a00600068001a020a001a002200',
    object: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'np', labels: { app: 'np' } },
      spec: {
        ports: [{ name: '80-http', protocol: 'TCP', port: 80, targetPort: 'http' }],
        selector: { app: 'np' },
        type: 'NodePort',
      },
      status: { loadBalancer: {} },
    },
  },
  {
    command: 'auth can-i',
    body:
      '6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c665375626a656374416363657373' +
      '526576696577123c0a100a0012001a0022002a00320038004200121e0a1c0a0764656661756c7412036765741a0022002a04' +
      '706f647332003a001a08080012001a0020001a002200',
    object: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      metadata: {},
      spec: { resourceAttributes: { namespace: 'default', verb: 'get', resource: 'pods' } },
    },
  },
]

test.each(recorded)('$command is read', ({ body, object }) => expect(decodeProtobuf(hex(body))).toEqual(object))

const tripped = kinds.map((kind) => ({ kind: kind.kind, schema: schemaNode(kind.schema), object: builders[kind.kind]?.() ?? {} }))
test.each(tripped)('a $kind comes through', ({ schema, object }) => {
  expect(decodeProtobuf(encodeProtobuf(schema, { ...object }))).toEqual(object)
})

const rich = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', finalizers: ['a/b', 'c/d'], creationTimestamp: '2026-01-02T03:04:05Z', deletionGracePeriodSeconds: 0 },
  spec: {
    securityContext: { runAsUser: 0, supplementalGroups: [1, 70_000] },
    terminationGracePeriodSeconds: 0,
    volumes: [
      { name: 'a', emptyDir: {} },
      { name: 'b', emptyDir: { medium: 'Memory', sizeLimit: '1Gi' } },
      { name: 'c', configMap: { name: 'c', optional: false, items: [{ key: 'k', path: 'p', mode: 0 }] } },
      { name: 'd', projected: { sources: [{ secret: { name: 's' } }] } },
    ],
    containers: [
      {
        name: 'c',
        image: 'i',
        resources: { limits: { cpu: '500m', memory: '1Gi' } },
        env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
        livenessProbe: { httpGet: { path: '/', port: 'web' }, periodSeconds: 5 },
        readinessProbe: { tcpSocket: { port: 80 } },
        lifecycle: { preStop: { exec: { command: ['sh', '-c', 'ü'] } } },
      },
    ],
  },
}

test('texts, numbers, times, quantities, maps, lists and messages inside messages come through', () => {
  expect(decodeProtobuf(encodeProtobuf(schemaNode(Pod.schema), rich))).toEqual(rich)
})

test('what came as protobuf is the same object as what came as JSON', () => {
  const viaProtobuf = decodeObject(Pod, decodeProtobuf(encodeProtobuf(schemaNode(Pod.schema), rich)), {})
  expect(viaProtobuf).toEqual(decodeObject(Pod, rich, {}))
  expect(viaProtobuf.errors).toEqual([])
})

test('micro-times keep their digits, negative numbers their sign', () => {
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'e' },
    involvedObject: {},
    eventTime: '2026-01-02T03:04:05.000678Z',
    count: -3,
  }
  expect(decodeProtobuf(encodeProtobuf(schemaNode(Event.schema), event))).toEqual(event)
})

test('large binary values become base64', () => {
  const data = { big: btoa('\u0000\u00ff'.repeat(100_000)) }
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data }
  expect(decodeProtobuf(encodeProtobuf(schemaNode(Secret.schema), secret))).toEqual(secret)
})

test.each([
  {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    gracePeriodSeconds: 0,
    preconditions: { uid: 'u' },
    propagationPolicy: 'Foreground',
  },
  { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'w' }, spec: { replicas: 3 }, status: { replicas: 0 } },
  { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } },
  { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' }, deleteOptions: { gracePeriodSeconds: 5 } },
])('$kind is no kind of its own, and is read', (body) => {
  const schema: SchemaNode = bodySchema(body.apiVersion, body.kind) ?? {}
  expect(decodeProtobuf(encodeProtobuf(schema, body))).toEqual(body)
})

test('fields without a value are dropped as Go writes no JSON for them, and pointers to zero are kept', () => {
  const zero = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd', namespace: '' },
    spec: { replicas: 0, minReadySeconds: 0, paused: false, selector: {}, template: { spec: { containers: [] } } },
  }
  const { spec, metadata } = decodeProtobuf(encodeProtobuf(schemaNode(Deployment.schema), zero))
  expect(metadata).toEqual({ name: 'd' })
  expect(spec).toEqual({ replicas: 0, selector: {}, template: { spec: {} } })
})

test('numbers of fields come packed as well as one by one', () => {
  const [one, packed] = ['2001 2002', '22020102'].map((field) => {
    const groups = hex(field.replaceAll(' ', ''))
    const security = hex(`7204${[...groups].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`)
    const spec = Uint8Array.of(0x12, security.length, ...security)
    const type = hex('0a090a02763112 03506f64'.replaceAll(' ', ''))
    return decodeProtobuf(Uint8Array.of(...hex('6b387300'), ...type, 0x12, spec.length, ...spec))
  })
  expect(one).toEqual({ apiVersion: 'v1', kind: 'Pod', spec: { securityContext: { supplementalGroups: [1, 2] } } })
  expect(packed).toEqual(one)
})

test('a key of a map cannot reach the prototype', () => {
  const data: unknown = JSON.parse('{"__proto__":"x"}')
  const body = encodeProtobuf(schemaNode(Secret.schema), { apiVersion: 'v1', kind: 'Secret', stringData: data })
  expect(Object.entries(decodeProtobuf(body)['stringData'] as object)).toEqual([['__proto__', 'x']])
})

test.each([
  ['', '400 the body is no valid protobuf message: it does not begin with "k8s\\0"'],
  ['7b7d', '400 the body is no valid protobuf message: it does not begin with "k8s\\0"'],
  ['6b387300', '415  in  is not known as protobuf, send JSON'],
  ['6b38730000', '400 the body is no valid protobuf message: there is no field 0'],
  ['6b3873000a0200', '400 the body is no valid protobuf message: it ends inside a field'],
  ['6b3873000affffffffffffffffffff01', '400 the body is no valid protobuf message: a number is longer than 10 bytes'],
  ['6b3873000affffffff7f', '400 the body is no valid protobuf message: a field is longer than the body'],
  ['6b3873000b', '400 the body is no valid protobuf message: field 1 has the unknown wire type 3'],
])('%j is refused', (body, message) => expect(refusal(hex(body))).toBe(message))

test('a kind that is not known here is refused by name', () => {
  const body = encodeProtobuf({}, { apiVersion: 'example.com/v1', kind: 'Thing' })
  expect(refusal(body)).toBe('415 Thing in example.com/v1 is not known as protobuf, send JSON')
})

test('a body of very many small fields is refused', () => {
  const item = Uint8Array.of(0x12, 0)
  const spec = new Uint8Array(item.length * 300_000)
  for (let at = 0; at < spec.length; at += item.length) spec.set(item, at)
  const size = (length: number) => [(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14]
  const inner = [0x12, ...size(spec.length)]
  const head = [...hex('6b3873000a090a0276311203506f64'), 0x12, ...size(spec.length + inner.length), ...inner]
  const body = new Uint8Array(head.length + spec.length)
  body.set(head)
  body.set(spec, head.length)
  expect(refusal(body)).toContain('more than 200000 fields')
})

test('no body, however damaged, does anything but be read or be refused', () => {
  const whole = encodeProtobuf(schemaNode(Pod.schema), rich)
  const damage = fc.array(fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) }), { maxLength: 5 })
  fc.assert(
    fc.property(damage, fc.nat(whole.length), (changes, length) => {
      const bytes = Uint8Array.from(whole)
      for (const { at, byte } of changes) bytes[at] = byte
      expect(refusal(bytes.subarray(0, length))).toMatch(/^(accepted|400 |415 )/)
    }),
    { numRuns: 500 },
  )
})
