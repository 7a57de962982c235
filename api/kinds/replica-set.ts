import type { DeepReadonly } from '../meta/object-meta.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { defaultTemplate } from './pod-spec/defaults.ts'
import { podTemplateSpecSchema } from './pod-spec/pod-spec.ts'
import { checkMeta, checkUnchanged, withStatus } from './rules.ts'
import { int32, int64, mapList, message, opt, req, type Static, str, time } from './schema.ts'
import { conditionStatusSchema, labelSelectorSchema } from './shared.ts'
import { checkWorkload, scaleOf, workloadWideColumns } from './workload.ts'

const apps = 'io.k8s.api.apps.v1'

const replicaSetConditionSchema = message(`${apps}.ReplicaSetCondition`, 'One aspect of the state of a ReplicaSet.', {
  type: req(str(), 'ReplicaFailure.', { tag: 1 }),
  status: req(conditionStatusSchema, 'Whether it holds.', { tag: 2 }),
  lastTransitionTime: opt(time(), 'When the status last changed.', { tag: 3 }),
  reason: opt(str(), 'Why it last changed, as one CamelCase word.', { tag: 4 }),
  message: opt(str(), 'Why it last changed, for people.', { tag: 5 }),
})
export type ReplicaSetCondition = DeepReadonly<Static<typeof replicaSetConditionSchema>>

const replicaSetSpecSchema = message(`${apps}.ReplicaSetSpec`, 'How many pods of which form there are to be.', {
  replicas: opt(int32(), 'How many pods there are to be.', { tag: 1, pointer: true, default: 1 }),
  minReadySeconds: opt(int32(), 'Seconds that a pod must be ready to count as available.', { tag: 4 }),
  selector: req(labelSelectorSchema, 'Labels of the pods; must match those of the template.', { tag: 2 }),
  template: req(podTemplateSpecSchema, 'What the pods are to be.', { tag: 3 }),
})

const replicaSetStatusSchema = message(`${apps}.ReplicaSetStatus`, 'What is known about a ReplicaSet.', {
  replicas: req(int32(), 'Pods there are.', { tag: 1, default: 0 }),
  fullyLabeledReplicas: opt(int32(), 'Pods with all labels of the template.', { tag: 2 }),
  readyReplicas: opt(int32(), 'Pods that are ready.', { tag: 4 }),
  availableReplicas: opt(int32(), 'Pods that have been ready for minReadySeconds.', { tag: 5 }),
  terminatingReplicas: opt(int32(), 'Pods that are being deleted.', { tag: 7, pointer: true }),
  observedGeneration: opt(int64(), 'The generation that this status was computed from.', { tag: 3 }),
  conditions: opt(mapList(replicaSetConditionSchema, 'type'), 'Aspects of the state.', { tag: 6 }),
})
export type ReplicaSetStatus = DeepReadonly<Static<typeof replicaSetStatusSchema>>

export const ReplicaSet = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  shortNames: ['rs'],
  categories: ['all'],
  scope: 'Namespaced',
  subresources: ['status', 'scale'],
  doc: 'Keeps a number of equal pods running.',
  schemaName: `${apps}.ReplicaSet`,
  body: {
    spec: req(replicaSetSpecSchema, 'How many pods of which form there are to be.', { tag: 2 }),
    status: opt(replicaSetStatusSchema, 'What is known about the ReplicaSet.', { tag: 3 }),
  },
})({
  columns: [
    nameColumn,
    { name: 'Desired', type: 'integer', doc: 'Pods that are wanted.', cell: (rs) => rs.spec.replicas ?? 1 },
    { name: 'Current', type: 'integer', doc: 'Pods there are.', cell: (rs) => rs.status?.replicas ?? 0 },
    { name: 'Ready', type: 'integer', doc: 'Pods that are ready.', cell: (rs) => rs.status?.readyReplicas ?? 0 },
    ageColumn,
    ...workloadWideColumns,
  ],
  strategy: {
    default: (rs) => ({ ...rs, spec: { ...rs.spec, template: defaultTemplate(rs.spec.template) } }),
    prepareForCreate: (rs) => withStatus(rs, { replicas: 0 }),
    prepareForUpdate: (rs, old) => withStatus(rs, old.status),
    validate: (rs) => [...checkMeta(rs), ...checkWorkload(rs)],
    validateUpdate: (rs, old) => [...checkUnchanged('spec.selector', rs.spec.selector, old.spec.selector)],
    selectableFields: { 'status.replicas': (rs) => String(rs.status?.replicas ?? 0) },
    scale: scaleOf(),
  },
})
export type ReplicaSet = ObjectOf<typeof ReplicaSet>
