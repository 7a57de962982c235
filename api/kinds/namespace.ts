import { wrongLabel } from '../meta/names.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { checkMeta, withStatus } from './rules.ts'
import { atomicList, mapList, message, oneOf, opt, req, str, time } from './schema.ts'
import { conditionStatusSchema } from './shared.ts'

const core = 'io.k8s.api.core.v1'

const namespaceConditionSchema = message(`${core}.NamespaceCondition`, 'One aspect of the state of a namespace.', {
  type: req(str(), 'Name of the aspect.', { tag: 1 }),
  status: req(conditionStatusSchema, 'Whether it holds.', { tag: 2 }),
  lastTransitionTime: opt(time(), 'When the status last changed.', { tag: 4 }),
  reason: opt(str(), 'Why it last changed, as one CamelCase word.', { tag: 5 }),
  message: opt(str(), 'Why it last changed, for people.', { tag: 6 }),
})

const nameLabel = 'kubernetes.io/metadata.name'
const unique = (texts: readonly string[]): string[] => [...new Set(texts)]

export const Namespace = defineKind({
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  scope: 'Cluster',
  subresources: ['status', 'finalize'],
  doc: 'A room for names: objects of two namespaces can have the same name.',
  schemaName: `${core}.Namespace`,
  body: {
    spec: opt(
      message(`${core}.NamespaceSpec`, 'What a namespace is to be.', {
        finalizers: opt(atomicList(str()), 'The namespace stays until this list is empty.', { tag: 1 }),
      }),
      'What the namespace is to be.',
      { tag: 2 },
    ),
    status: opt(
      message(`${core}.NamespaceStatus`, 'What is known about a namespace.', {
        phase: opt(oneOf('Active', 'Terminating'), 'Whether it is being deleted.', { tag: 1 }),
        conditions: opt(mapList(namespaceConditionSchema, 'type'), 'Aspects of the state.', { tag: 2 }),
      }),
      'What is known about the namespace.',
      { tag: 3 },
    ),
  },
})({
  columns: [nameColumn, { name: 'Status', doc: 'Whether it is being deleted.', cell: (ns) => ns.status?.phase ?? '' }, ageColumn],
  strategy: {
    hasGeneration: false,
    // Selectors over namespaces can name one by this label.
    default: (ns) => {
      const { metadata } = ns
      if (metadata.name === undefined || metadata.name === '') return ns
      return { ...ns, metadata: { ...metadata, labels: { ...metadata.labels, [nameLabel]: metadata.name } } }
    },
    prepareForCreate: (ns) =>
      withStatus({ ...ns, spec: { finalizers: unique([...(ns.spec?.finalizers ?? []), 'kubernetes']) } }, { phase: 'Active' }),
    // Finalizers are removed through the subresource `finalize` only.
    prepareForUpdate: (ns, old) => withStatus(old.spec === undefined ? ns : { ...ns, spec: old.spec }, old.status),
    validate: (ns) => [...checkMeta(ns, wrongLabel)],
    selectableFields: { 'status.phase': (ns) => ns.status?.phase ?? '' },
  },
})
export type Namespace = ObjectOf<typeof Namespace>
