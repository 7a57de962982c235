import type { DeepReadonly } from '../meta/object-meta.ts'
import { invalid } from '../meta/status.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { defaultTemplate } from './pod-spec/defaults.ts'
import { podTemplateSpecSchema } from './pod-spec/pod-spec.ts'
import { checkMeta, checkMin, checkUnchanged, type Wrong, withStatus } from './rules.ts'
import { bool, int32, int64, intOrString, mapList, message, oneOf, opt, req, type Static, str, time } from './schema.ts'
import { conditionStatusSchema, labelSelectorSchema } from './shared.ts'
import { checkRollout, checkWorkload, scaleOf, workloadWideColumns } from './workload.ts'

const apps = 'io.k8s.api.apps.v1'
const ptr = { pointer: true } as const

const deploymentConditionSchema = message(`${apps}.DeploymentCondition`, 'One aspect of the state of a Deployment.', {
  type: req(str(), 'Available, Progressing or ReplicaFailure.', { tag: 1 }),
  status: req(conditionStatusSchema, 'Whether it holds.', { tag: 2 }),
  lastUpdateTime: opt(time(), 'When the condition was last written.', { tag: 6 }),
  lastTransitionTime: opt(time(), 'When the status last changed.', { tag: 7 }),
  reason: opt(str(), 'Why it last changed, as one CamelCase word.', { tag: 4 }),
  message: opt(str(), 'Why it last changed, for people.', { tag: 5 }),
})
export type DeploymentCondition = DeepReadonly<Static<typeof deploymentConditionSchema>>

const rollingUpdateSchema = message(`${apps}.RollingUpdateDeployment`, 'How far a rolling update may go at once.', {
  maxUnavailable: opt(intOrString(), 'Pods that may be missing, as a number or as percent of replicas (rounded down).', {
    tag: 1,
  }),
  maxSurge: opt(intOrString(), 'Pods that may be too many, as a number or as percent of replicas (rounded up).', { tag: 2 }),
})

const deploymentStrategySchema = message(`${apps}.DeploymentStrategy`, 'How old pods are replaced by new ones.', {
  type: opt(oneOf('Recreate', 'RollingUpdate'), 'Recreate ends all old pods first.', { tag: 1, default: 'RollingUpdate' }),
  rollingUpdate: opt(rollingUpdateSchema, 'Only for RollingUpdate.', { tag: 2 }),
})
export type DeploymentStrategy = DeepReadonly<Static<typeof deploymentStrategySchema>>

const deploymentSpecSchema = message(`${apps}.DeploymentSpec`, 'How many pods of which form there are to be.', {
  replicas: opt(int32(), 'How many pods there are to be.', { tag: 1, ...ptr, default: 1 }),
  selector: req(labelSelectorSchema, 'Labels of the pods; must match those of the template; cannot be changed.', { tag: 2 }),
  template: req(podTemplateSpecSchema, 'What the pods are to be.', { tag: 3 }),
  strategy: opt(deploymentStrategySchema, 'How old pods are replaced by new ones.', {
    tag: 4,
    default: {},
    patchStrategy: 'retainKeys',
  }),
  minReadySeconds: opt(int32(), 'Seconds that a pod must be ready to count as available.', { tag: 5 }),
  revisionHistoryLimit: opt(int32(), 'Old ReplicaSets that are kept to go back to.', { tag: 6, ...ptr, default: 10 }),
  paused: opt(bool(), 'Holds updates back.', { tag: 7 }),
  progressDeadlineSeconds: opt(int32(), 'Seconds without progress after which the update counts as failed.', {
    tag: 9,
    ...ptr,
    default: 600,
  }),
})
export type DeploymentSpec = DeepReadonly<Static<typeof deploymentSpecSchema>>

const deploymentStatusSchema = message(`${apps}.DeploymentStatus`, 'What is known about a Deployment.', {
  observedGeneration: opt(int64(), 'The generation that this status was computed from.', { tag: 1 }),
  replicas: opt(int32(), 'Pods there are.', { tag: 2 }),
  updatedReplicas: opt(int32(), 'Pods of the newest template.', { tag: 3 }),
  readyReplicas: opt(int32(), 'Pods that are ready.', { tag: 7 }),
  availableReplicas: opt(int32(), 'Pods that have been ready for minReadySeconds.', { tag: 4 }),
  unavailableReplicas: opt(int32(), 'Pods still missing.', { tag: 5 }),
  terminatingReplicas: opt(int32(), 'Pods that are being deleted.', { tag: 9, ...ptr }),
  conditions: opt(mapList(deploymentConditionSchema, 'type'), 'Aspects of the state.', { tag: 6 }),
  collisionCount: opt(int32(), 'How often the name of a new ReplicaSet was taken.', { tag: 8, ...ptr }),
})
export type DeploymentStatus = DeepReadonly<Static<typeof deploymentStatusSchema>>

export const Deployment = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  shortNames: ['deploy'],
  categories: ['all'],
  scope: 'Namespaced',
  subresources: ['status', 'scale'],
  doc: 'Keeps equal pods running and replaces them step by step when their form changes.',
  schemaName: `${apps}.Deployment`,
  body: {
    spec: req(deploymentSpecSchema, 'How many pods of which form there are to be.', { tag: 2 }),
    status: opt(deploymentStatusSchema, 'What is known about the Deployment.', { tag: 3 }),
  },
})({
  columns: [
    nameColumn,
    {
      name: 'Ready',
      doc: 'Pods that are ready, of those wanted.',
      cell: (d) => `${d.status?.readyReplicas ?? 0}/${d.spec.replicas ?? 1}`,
    },
    { name: 'Up-to-date', type: 'integer', doc: 'Pods of the newest template.', cell: (d) => d.status?.updatedReplicas ?? 0 },
    { name: 'Available', type: 'integer', doc: 'Pods that users can reach.', cell: (d) => d.status?.availableReplicas ?? 0 },
    ageColumn,
    ...workloadWideColumns,
  ],
  strategy: {
    default: (deployment) => {
      const { spec } = deployment
      return {
        ...deployment,
        spec: { ...spec, strategy: defaultStrategy(spec.strategy), template: defaultTemplate(spec.template) },
      }
    },
    prepareForCreate: (deployment) => withStatus(deployment, undefined),
    prepareForUpdate: (deployment, old) => withStatus(deployment, old.status),
    validate: (deployment) => [...checkMeta(deployment), ...checkWorkload(deployment), ...checkDeploymentSpec(deployment.spec)],
    validateUpdate: (deployment, old) => [...checkUnchanged('spec.selector', deployment.spec.selector, old.spec.selector)],
    scale: scaleOf(),
  },
})
export type Deployment = ObjectOf<typeof Deployment>

function defaultStrategy(strategy: DeploymentStrategy = {}): DeploymentStrategy {
  const { type = 'RollingUpdate', rollingUpdate } = strategy
  if (type !== 'RollingUpdate') return { ...strategy, type }
  return { type, rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%', ...rollingUpdate } }
}

function* checkDeploymentSpec(spec: DeploymentSpec): Wrong {
  yield* checkRollout('spec.strategy', spec.strategy ?? {})
  yield* checkMin('spec.revisionHistoryLimit', spec.revisionHistoryLimit, 0)
  const { progressDeadlineSeconds, minReadySeconds = 0 } = spec
  if (progressDeadlineSeconds === undefined) return
  yield* checkMin('spec.progressDeadlineSeconds', progressDeadlineSeconds, 0)
  if (progressDeadlineSeconds <= minReadySeconds) {
    yield invalid('spec.progressDeadlineSeconds', progressDeadlineSeconds, 'must be greater than minReadySeconds')
  }
}
