import { stringify } from 'yaml'
import { restPath } from '../../api/derive/paths.ts'
import { protobufMediaType } from '../../api/derive/protobuf.ts'
import { schemaNode } from '../../api/derive/schema-node.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import { encodeProtobuf } from '../../api/testing/protobuf-encoder.ts'
import type { Chance } from '../sim/chance.ts'
import { damage, evilValue, innateKeys, mutate, type Path } from './mutate.ts'

/** A valid object that the server holds under this name already. */
export interface Sample {
  readonly kind: KindDef
  readonly body: Readonly<Record<string, unknown>>
  readonly name: string
  readonly namespace: string | undefined
}

export interface BadRequest {
  readonly what: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
  /** The one field that was touched: an answer 400 or 422 has to speak of it, or of something around it. */
  readonly field: Path | undefined
}

type Make = (sample: Sample, chance: Chance) => BadRequest

const json = 'application/json'
const patchTypes = ['application/merge-patch+json', 'application/strategic-merge-patch+json', 'application/json-patch+json']

const collection = ({ kind, namespace }: Sample): string => restPath({ kind, namespace })
const one = ({ kind, namespace, name }: Sample, subresource?: string): string => restPath({ kind, namespace, name, subresource })

/** What is to be created has another name than what is there. */
const renewed = ({ body, name }: Sample): Readonly<Record<string, unknown>> => ({
  ...body,
  metadata: { ...Object(body['metadata']), name: `${name}-new` },
})

const asJson = (value: unknown): Buffer => Buffer.from(JSON.stringify(value) ?? '')

/** What the writer cannot write for its depth goes as flow, which is YAML too. */
function asYaml(value: unknown): string | Buffer {
  try {
    return stringify(value, { aliasDuplicateObjects: false })
  } catch {
    return asJson(value)
  }
}

const createdAsJson: Make = (sample, chance) => {
  const { value, what, path } = mutate(renewed(sample), chance)
  const strict = chance.is(0.3) ? '?fieldValidation=Strict' : ''
  return {
    what: `create: ${what}`,
    method: 'POST',
    path: `${collection(sample)}${strict}`,
    headers: { 'content-type': json },
    body: asJson(value),
    field: path,
  }
}

const createdAsYaml: Make = (sample, chance) => {
  const { value, what, path } = mutate(renewed(sample), chance)
  const text = Buffer.from(chance.is(0.5) ? asJson(value) : asYaml(value))
  const { bytes, what: how } = chance.is(0.5) ? damage(text, chance) : { bytes: text, what: 'as it is' }
  return {
    what: `create by YAML: ${what}, ${how}`,
    method: 'POST',
    path: collection(sample),
    headers: { 'content-type': 'application/yaml' },
    body: bytes,
    field: how === 'as it is' ? path : undefined,
  }
}

const createdAsProtobuf: Make = (sample, chance) => {
  const valid = Buffer.from(encodeProtobuf(schemaNode(sample.kind.schema), renewed(sample)))
  let { bytes, what } = damage(valid, chance)
  for (let more = chance.int(0, 3); more > 0; more--) bytes = damage(bytes, chance).bytes
  return {
    what: `create by protobuf: ${what}`,
    method: 'POST',
    path: collection(sample),
    headers: { 'content-type': protobufMediaType },
    body: bytes,
    field: undefined,
  }
}

const damagedText: Make = (sample, chance) => {
  const { bytes, what } = damage(asJson(renewed(sample)), chance)
  return {
    what: `create, text: ${what}`,
    method: 'POST',
    path: collection(sample),
    headers: { 'content-type': json },
    body: bytes,
    field: undefined,
  }
}

const wrongMediaType: Make = (sample, chance) => {
  const types = [
    json,
    'application/yaml',
    protobufMediaType,
    ...patchTypes,
    'text/html',
    'application/cbor',
    '',
    ';;',
    'application/json; charset=utf-16',
    'multipart/form-data; boundary=x',
    'application/apply-patch+yaml',
  ]
  const type = chance.pick(types)
  const method = chance.pick(['POST', 'PUT', 'PATCH', 'DELETE'])
  const encoding = chance.is(0.2) ? { 'content-encoding': chance.pick(['gzip', 'br', 'nonsense']) } : {}
  return {
    what: `${method} as "${type}"`,
    method,
    path: method === 'POST' ? collection(sample) : one(sample),
    headers: {
      'content-type': type,
      accept: chance.pick(['*/*', json, 'text/html', 'application/json;as=Table;g=meta.k8s.io;v=v1', ',,;q=x']),
      ...encoding,
    },
    body: chance.is(0.5) ? asJson(evilValue(chance)) : damage(asJson(renewed(sample)), chance).bytes,
    field: undefined,
  }
}

const updated: Make = (sample, chance) => {
  const { value, what, path } = mutate(sample.body, chance)
  const subresources = sample.kind.subresources.filter((name) => name !== 'log' && name !== 'exec' && name !== 'binding')
  const subresource = chance.is(0.4) && subresources.length > 0 ? chance.pick(subresources) : undefined
  return {
    what: `update ${subresource ?? ''}: ${what}`,
    method: 'PUT',
    path: one(sample, subresource),
    headers: { 'content-type': json },
    body: asJson(value),
    field: subresource === undefined ? path : undefined,
  }
}

const smallBodies: Readonly<Record<string, unknown>> = {
  scale: { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'x', namespace: 'default' }, spec: { replicas: 1 } },
  binding: { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'x', uid: '' }, target: { kind: 'Node', name: 'node-1' } },
  delete: {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    gracePeriodSeconds: 1,
    propagationPolicy: 'Background',
    dryRun: ['All'],
    preconditions: { uid: 'u', resourceVersion: '1' },
    orphanDependents: false,
  },
}

const smallBody: Make = (sample, chance) => {
  const which = chance.pick(['delete', ...sample.kind.subresources.filter((name) => Object.hasOwn(smallBodies, name))])
  const { value, what } = mutate(smallBodies[which], chance)
  const method = which === 'delete' ? 'DELETE' : which === 'scale' ? chance.pick(['PUT', 'PATCH']) : 'POST'
  return {
    what: `${which}: ${what}`,
    method,
    path: which === 'delete' ? one(sample) : one(sample, which),
    headers: { 'content-type': method === 'PATCH' ? chance.pick(patchTypes) : json },
    body: asJson(value),
    field: undefined,
  }
}

const directives = [
  '$patch',
  '$retainKeys',
  '$setElementOrder/containers',
  '$deleteFromPrimitiveList/finalizers',
  '$patchx',
  'spec',
  'metadata',
  ...innateKeys,
]

function evilPointer(chance: Chance): string {
  const steps = Array.from({ length: chance.int(0, 4) }, () =>
    chance.pick([
      'spec',
      'metadata',
      'labels',
      'name',
      'containers',
      '0',
      '-1',
      '-',
      '01',
      '1e3',
      '',
      '~',
      '~2',
      '~1',
      'x'.repeat(500),
      ...innateKeys,
    ]),
  )
  return chance.is(0.1) ? 'x' : steps.map((step) => `/${step}`).join('')
}

function evilPatch(sample: Sample, type: string, chance: Chance): unknown {
  if (type.startsWith('application/json-patch') && chance.is(0.8)) {
    const operation = () => ({
      op: chance.pick(['add', 'remove', 'replace', 'move', 'copy', 'test', 'jump', '', 'constructor']),
      path: evilPointer(chance),
      from: evilPointer(chance),
      ...(chance.is(0.7) ? { value: evilValue(chance) } : {}),
    })
    return Array.from({ length: chance.pick([1, 1, 2, 5]) }, operation)
  }
  const base = mutate(sample.body, chance).value
  return chance.is(0.5)
    ? base
    : {
        ...Object(base),
        spec: { [chance.pick(directives)]: evilValue(chance), ...Object(sample.body['spec']) },
        [chance.pick(directives)]: evilValue(chance),
      }
}

const patched: Make = (sample, chance) => {
  const type = chance.pick(patchTypes)
  const value = evilPatch(sample, type, chance)
  const subresources = sample.kind.subresources.filter((name) => name === 'status' || name === 'scale')
  return {
    what: `patch: ${type}`,
    method: 'PATCH',
    path: one(sample, chance.is(0.2) && subresources.length > 0 ? chance.pick(subresources) : undefined),
    headers: { 'content-type': type },
    body: chance.is(0.15) ? damage(asJson(value), chance).bytes : asJson(value),
    field: undefined,
  }
}

const pathPieces = [
  '%2f',
  '%2F..%2f',
  '..',
  '.',
  '',
  '//',
  '%00',
  '%',
  '%zz',
  '%ed%a0%80',
  '%c0%af',
  '%25',
  ';',
  '*',
  '%0d%0aX:y',
  '\u00e9',
  '%F0%9F%98%80',
  ...innateKeys,
  'status',
  'proxy',
  'pods',
  'log',
  'exec',
  'x'.repeat(300),
  'x'.repeat(20_000),
]

const strangePath: Make = (sample, chance) => {
  const whole = chance.is(0.5) ? one(sample) : collection(sample)
  const parts = whole.split('/')
  const at = chance.int(0, parts.length)
  const piece = encodeUnsafe(chance.pick(pathPieces))
  const path = [...parts.slice(0, at), piece, ...parts.slice(at + chance.int(0, 1))].join('/')
  const method = chance.pick(['GET', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND'])
  const hasBody = ['POST', 'PUT', 'PATCH'].includes(method)
  return {
    what: `${method} of a path with ${JSON.stringify(piece).slice(0, 40)}`,
    method,
    path: path.startsWith('/') ? path : `/${path}`,
    headers: hasBody ? { 'content-type': json } : {},
    // With a name of its own, so that the path alone decides.
    body: hasBody ? asJson({ ...renewed(sample), metadata: {} }) : undefined,
    field: undefined,
  }
}

/** Node's client refuses to send what is no ASCII. */
const encodeUnsafe = (text: string): string => text.replaceAll(/[^ -~]/g, encodeURIComponent)

const parameters = [
  'labelSelector',
  'fieldSelector',
  'limit',
  'continue',
  'resourceVersion',
  'resourceVersionMatch',
  'watch',
  'timeoutSeconds',
  'fieldValidation',
  'dryRun',
  'gracePeriodSeconds',
  'propagationPolicy',
  'includeObject',
  'allowWatchBookmarks',
  'sendInitialEvents',
  'pretty',
  'fieldManager',
  'tailLines',
  'sinceTime',
  'sinceSeconds',
  'container',
  'follow',
  'limitBytes',
  ...innateKeys,
]
const values = [
  '',
  '-1',
  '0',
  '1',
  '1.5',
  '999999999999999',
  '9'.repeat(30),
  'NaN',
  'true',
  'false',
  'All',
  'Exact',
  'a=b',
  'a in (b',
  'a in (b,c)',
  '!a,!b',
  'a=b,,c',
  'metadata.name=x',
  'status.phase=',
  'a==b==c',
  '()',
  ','.repeat(3_000),
  'a,'.repeat(3_000),
  '('.repeat(3_000),
  'a in ('.repeat(900),
  '%00',
  '%',
  '%ff',
  'x'.repeat(15_000),
  'e30',
  'eyJyZXZpc2lvbiI6MX0',
  'eyJyZXZpc2lvbiI6OTk5OTk5LCJhZnRlciI6Ii9yZWdpc3RyeS8ifQ',
  'Strict',
  'Foreground',
  ...innateKeys,
]

const strangeQuery: Make = (sample, chance) => {
  const pairs = Array.from(
    { length: chance.int(1, 3) },
    () =>
      `${chance.pick(parameters)}=${chance.is(0.5) ? encodeURIComponent(chance.pick(values)) : encodeUnsafe(chance.pick(values)).replaceAll(' ', '+')}`,
  )
  const isLog = sample.kind.subresources.includes('log') && chance.is(0.3)
  const query = pairs.join('&')
  const method = chance.pick(['GET', 'GET', 'GET', 'DELETE', 'POST', 'PUT'])
  const isCreate = method === 'POST'
  return {
    what: `${method} with ${query.slice(0, 100)}`,
    method,
    // A wait for a revision of the future and a watch are answered late by design; these have tests of their own.
    path: `${isLog ? one(sample, 'log') : isCreate || chance.is(0.6) ? collection(sample) : one(sample)}?${query.replaceAll(/resourceVersion=[^&]*9{6,}/g, 'resourceVersion=-1').replaceAll(/(^|&)(watch|follow)=(1|true)/g, '$1$2=maybe')}`,
    headers: { 'content-type': json },
    body: method === 'GET' ? undefined : asJson(method === 'DELETE' ? undefined : renewed(sample)),
    field: undefined,
  }
}

const makers: readonly (readonly [number, Make])[] = [
  [30, createdAsJson],
  [8, createdAsYaml],
  [10, createdAsProtobuf],
  [10, damagedText],
  [4, wrongMediaType],
  [10, updated],
  [6, smallBody],
  [12, patched],
  [5, strangePath],
  [5, strangeQuery],
]

export function badRequest(samples: readonly Sample[], chance: Chance): BadRequest {
  return chance.weighted(makers)(chance.pick(samples), chance)
}
