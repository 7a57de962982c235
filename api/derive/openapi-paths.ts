import type { KindDef } from '../kinds/define.ts'
import { deleteOptionsName, patchName, refTo, schemaName, statusName } from './openapi-schema.ts'
import { groupVersionPath } from './paths.ts'
import type { JsonRecord } from './schema-node.ts'

type Location = 'query' | 'path'
type Operation = JsonRecord

const parameter = (where: Location, name: string, type: string, description: string): JsonRecord => ({
  name,
  in: where,
  description,
  ...(where === 'path' ? { required: true } : {}),
  schema: { type, uniqueItems: true },
})

const namespaceParameter = parameter('path', 'namespace', 'string', 'The namespace of the object.')
const nameParameter = parameter('path', 'name', 'string', 'The name of the object.')

/** kubectl leaves the check of fields to a server whose operations name `fieldValidation`. */
const writeParameters = [
  parameter('query', 'dryRun', 'string', 'All: check everything, write nothing.'),
  parameter('query', 'fieldManager', 'string', 'Who writes.'),
  parameter('query', 'fieldValidation', 'string', 'What becomes of unknown fields: Strict, Warn or Ignore.'),
]

const listParameters = [
  parameter('query', 'labelSelector', 'string', 'Restricts to objects with these labels.'),
  parameter('query', 'fieldSelector', 'string', 'Restricts to objects with these fields.'),
  parameter('query', 'limit', 'integer', 'The most objects in one answer.'),
  parameter('query', 'continue', 'string', 'Where the page begins.'),
  parameter('query', 'resourceVersion', 'string', 'The revision to show, or to watch from.'),
  parameter('query', 'resourceVersionMatch', 'string', 'Exact or NotOlderThan.'),
  parameter('query', 'watch', 'boolean', 'Give changes as they happen.'),
  parameter('query', 'allowWatchBookmarks', 'boolean', 'Also tell how far the watch is when nothing changed.'),
  parameter('query', 'timeoutSeconds', 'integer', 'When a watch ends.'),
]

const deleteParameters = [
  parameter('query', 'dryRun', 'string', 'All: check everything, delete nothing.'),
  parameter('query', 'gracePeriodSeconds', 'integer', 'Seconds given to the object to end.'),
  parameter('query', 'propagationPolicy', 'string', 'What becomes of dependents: Foreground, Background or Orphan.'),
]

const json = (name: string): JsonRecord => ({ 'application/json': { schema: refTo(name) } })

const patchTypes = ['application/json-patch+json', 'application/merge-patch+json', 'application/strategic-merge-patch+json']
const patchBody = { content: Object.fromEntries(patchTypes.map((type) => [type, { schema: refTo(patchName) }])), required: true }

interface Described {
  readonly action: string
  /** `read` + `Core` + `V1` + … : unique in the document. */
  readonly id: string
  readonly answer: string
  readonly parameters?: readonly JsonRecord[]
  readonly body?: JsonRecord
}

/** What clients find an operation by. */
interface Target {
  readonly group: string
  readonly version: string
  readonly kind: string
}

function operation({ action, id, answer, parameters = [], body }: Described, { group, version, kind }: Target): Operation {
  return {
    operationId: id,
    parameters,
    ...(body === undefined ? {} : { requestBody: body }),
    responses: { 200: { description: 'OK', content: json(answer) }, 401: { description: 'Unauthorized' } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group, version, kind },
  }
}

/** All paths of a kind, with what can be done there. */
export function pathsOf(kind: KindDef): JsonRecord {
  const root = groupVersionPath(kind)
  const isNamespaced = kind.scope === 'Namespaced'
  const collection = `${root}/${isNamespaced ? 'namespaces/{namespace}/' : ''}${kind.plural}`
  const room = isNamespaced ? [namespaceParameter] : []
  const all = isNamespaced ? { [`${root}/${kind.plural}`]: { get: list(kind, 'ForAllNamespaces') } } : {}
  const parts = kind.subresources.map((part): [string, JsonRecord] => [
    `${collection}/{name}/${part}`,
    { parameters: [nameParameter, ...room], ...subresourceOperations(kind, part) },
  ])
  return {
    ...all,
    [collection]: { parameters: room, ...collectionOperations(kind) },
    [`${collection}/{name}`]: { parameters: [nameParameter, ...room], ...objectOperations(kind) },
    ...Object.fromEntries(parts),
  }
}

function idOf(kind: KindDef, verb: string, suffix = ''): string {
  const group = kind.group === '' ? 'Core' : capital(kind.group.split('.')[0] ?? '')
  return `${verb}${group}${capital(kind.version)}${kind.scope === 'Namespaced' ? 'Namespaced' : ''}${kind.kind}${suffix}`
}

const capital = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1)

const bodyOf = (name: string): JsonRecord => ({ content: json(name), required: true })

function list(kind: KindDef, suffix = ''): Operation {
  const answer = `${schemaName(kind)}List`
  return operation({ action: 'list', id: idOf(kind, 'list', suffix), answer, parameters: listParameters }, kind)
}

function collectionOperations(kind: KindDef): JsonRecord {
  const name = schemaName(kind)
  const deletion = { body: { content: json(deleteOptionsName) }, answer: statusName }
  return {
    get: list(kind),
    post: operation(
      { action: 'post', id: idOf(kind, 'create'), answer: name, parameters: writeParameters, body: bodyOf(name) },
      kind,
    ),
    delete: operation(
      {
        action: 'deletecollection',
        id: idOf(kind, 'deleteCollection'),
        parameters: [...deleteParameters, ...listParameters],
        ...deletion,
      },
      kind,
    ),
  }
}

function objectOperations(kind: KindDef): JsonRecord {
  const deletion = { body: { content: json(deleteOptionsName) }, answer: statusName, parameters: deleteParameters }
  return {
    ...readAndWrite(kind, { name: schemaName(kind), target: kind, suffix: '' }),
    delete: operation({ action: 'delete', id: idOf(kind, 'delete'), ...deletion }, kind),
  }
}

interface Part {
  readonly name: string
  readonly target: Target
  readonly suffix: string
}

function readAndWrite(kind: KindDef, { name, target, suffix }: Part): JsonRecord {
  const write = { answer: name, parameters: writeParameters }
  return {
    get: operation({ action: 'get', id: idOf(kind, 'read', suffix), answer: name }, target),
    put: operation({ action: 'put', id: idOf(kind, 'replace', suffix), body: bodyOf(name), ...write }, target),
    patch: operation({ action: 'patch', id: idOf(kind, 'patch', suffix), body: patchBody, ...write }, target),
  }
}

/** Schemas of bodies that are no kinds of their own. */
export const scaleName = 'io.k8s.api.autoscaling.v1.Scale'
export const bindingName = 'io.k8s.api.core.v1.Binding'

function subresourceOperations(kind: KindDef, part: string): JsonRecord {
  const suffix = capital(part)
  switch (part) {
    case 'scale':
      return readAndWrite(kind, { name: scaleName, target: { group: 'autoscaling', version: 'v1', kind: 'Scale' }, suffix })
    case 'binding': {
      const id = idOf(kind, 'create', suffix)
      const binding = { action: 'post', id, answer: bindingName, parameters: writeParameters, body: bodyOf(bindingName) }
      return { post: operation(binding, { group: '', version: 'v1', kind: 'Binding' }) }
    }
    case 'finalize': {
      const name = schemaName(kind)
      const write = { answer: name, parameters: writeParameters, body: bodyOf(name) }
      return { put: operation({ action: 'put', id: idOf(kind, 'replace', suffix), ...write }, kind) }
    }
    case 'log':
      return { get: stream(kind, 'get', suffix) }
    case 'exec':
      return { get: stream(kind, 'connect', suffix), post: stream(kind, 'connect', `Post${suffix}`) }
    default:
      return readAndWrite(kind, { name: schemaName(kind), target: kind, suffix })
  }
}

function stream(kind: KindDef, action: string, suffix: string): Operation {
  const text = { 200: { description: 'OK', content: { '*/*': { schema: { type: 'string' } } } } }
  return { ...operation({ action, id: idOf(kind, action, suffix), answer: statusName }, kind), responses: text }
}
