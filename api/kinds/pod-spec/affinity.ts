import type { DeepReadonly } from '../../meta/object-meta.ts'
import { atomicList, int32, int64, message, oneOf, opt, req, type Static, str } from '../schema.ts'
import { labelSelectorSchema } from '../shared.ts'

const core = 'io.k8s.api.core.v1'

const nodeSelectorRequirementSchema = message(`${core}.NodeSelectorRequirement`, 'A rule on one label or field of a node.', {
  key: req(str(), 'The label or field.', { tag: 1 }),
  operator: req(oneOf('In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'), 'How key and values relate.', { tag: 2 }),
  values: opt(atomicList(str()), 'Values; one number for Gt and Lt, none for Exists and DoesNotExist.', { tag: 3 }),
})
export type NodeSelectorRequirement = DeepReadonly<Static<typeof nodeSelectorRequirementSchema>>

const nodeSelectorTermSchema = message(
  `${core}.NodeSelectorTerm`,
  'Rules on a node that must all hold; an empty term matches no node.',
  {
    matchExpressions: opt(atomicList(nodeSelectorRequirementSchema), 'Rules on labels.', { tag: 1 }),
    matchFields: opt(atomicList(nodeSelectorRequirementSchema), 'Rules on fields; only metadata.name is known.', { tag: 2 }),
  },
)
export type NodeSelectorTerm = DeepReadonly<Static<typeof nodeSelectorTermSchema>>

const nodeSelectorSchema = message(`${core}.NodeSelector`, 'Terms of which one must match.', {
  nodeSelectorTerms: req(atomicList(nodeSelectorTermSchema), 'The terms.', { tag: 1 }),
})

const weight = req(int32(), 'Weight, 1 to 100.', { tag: 1 })

const nodeAffinitySchema = message(`${core}.NodeAffinity`, 'Which nodes a pod may run on, and which it prefers.', {
  requiredDuringSchedulingIgnoredDuringExecution: opt(nodeSelectorSchema, 'A node must match when the pod is placed.', {
    tag: 1,
  }),
  preferredDuringSchedulingIgnoredDuringExecution: opt(
    atomicList(
      message(`${core}.PreferredSchedulingTerm`, 'A preference with its weight.', {
        weight,
        preference: req(nodeSelectorTermSchema, 'Nodes that are preferred.', { tag: 2 }),
      }),
    ),
    'Nodes with the highest sum of weights are preferred.',
    { tag: 2 },
  ),
})
export type NodeAffinity = DeepReadonly<Static<typeof nodeAffinitySchema>>

const podAffinityTermSchema = message(`${core}.PodAffinityTerm`, 'A set of pods, and what counts as one place.', {
  labelSelector: opt(labelSelectorSchema, 'Selects pods by labels; none when left out.', { tag: 1 }),
  namespaces: opt(atomicList(str()), 'Namespaces of the pods; the pod’s own when both ways are left out.', { tag: 2 }),
  topologyKey: req(str(), 'Node label; nodes with the same value are one place.', { tag: 3 }),
  namespaceSelector: opt(labelSelectorSchema, 'Selects more namespaces by labels; an empty one selects all.', { tag: 4 }),
  matchLabelKeys: opt(atomicList(str()), 'Labels whose values must be those of the pod.', { tag: 5, skiff: 'refused' }),
  mismatchLabelKeys: opt(atomicList(str()), 'Labels whose values must differ from those of the pod.', {
    tag: 6,
    skiff: 'refused',
  }),
})
export type PodAffinityTerm = DeepReadonly<Static<typeof podAffinityTermSchema>>

const weightedPodAffinityTermSchema = message(`${core}.WeightedPodAffinityTerm`, 'A preference with its weight.', {
  weight,
  podAffinityTerm: req(podAffinityTermSchema, 'The pods.', { tag: 2 }),
})

const podTerms = {
  requiredDuringSchedulingIgnoredDuringExecution: opt(atomicList(podAffinityTermSchema), 'All must hold when placed.', {
    tag: 1,
  }),
  preferredDuringSchedulingIgnoredDuringExecution: opt(
    atomicList(weightedPodAffinityTermSchema),
    'Places with the highest sum of weights are preferred.',
    { tag: 2 },
  ),
}

export const affinitySchema = message(`${core}.Affinity`, 'Rules about where a pod runs.', {
  nodeAffinity: opt(nodeAffinitySchema, 'Rules about nodes.', { tag: 1 }),
  podAffinity: opt(message(`${core}.PodAffinity`, 'Near which pods to run.', podTerms), 'Near which pods to run.', { tag: 2 }),
  podAntiAffinity: opt(
    message(`${core}.PodAntiAffinity`, 'Away from which pods to run.', podTerms),
    'Away from which pods to run.',
    { tag: 3 },
  ),
})
export type Affinity = DeepReadonly<Static<typeof affinitySchema>>

export const tolerationSchema = message(`${core}.Toleration`, 'Lets a pod run on nodes with matching taints.', {
  key: opt(str(), 'Key of the taint; empty with Exists matches all.', { tag: 1 }),
  operator: opt(oneOf('Exists', 'Equal'), 'How key and value relate; Equal when left out.', { tag: 2 }),
  value: opt(str(), 'Value of the taint.', { tag: 3 }),
  effect: opt(oneOf('', 'NoSchedule', 'PreferNoSchedule', 'NoExecute'), 'Effect of the taint; all when empty.', { tag: 4 }),
  tolerationSeconds: opt(int64(), 'How long a NoExecute taint is tolerated; for ever when left out.', { tag: 5, pointer: true }),
})
export type Toleration = DeepReadonly<Static<typeof tolerationSchema>>

export const topologySpreadConstraintSchema = message(
  `${core}.TopologySpreadConstraint`,
  'How evenly matching pods are spread over places.',
  {
    maxSkew: req(int32(), 'Most that the counts of two places may differ.', { tag: 1 }),
    topologyKey: req(str(), 'Node label; nodes with the same value are one place.', { tag: 2 }),
    whenUnsatisfiable: req(oneOf('DoNotSchedule', 'ScheduleAnyway'), 'Whether the rule is hard.', { tag: 3 }),
    labelSelector: opt(labelSelectorSchema, 'The pods that are counted.', { tag: 4 }),
    minDomains: opt(int32(), 'Fewest places to count with.', { tag: 5, pointer: true }),
    nodeAffinityPolicy: opt(oneOf('Honor', 'Ignore'), 'Whether only nodes that the pod may use are counted.', {
      tag: 6,
      pointer: true,
    }),
    nodeTaintsPolicy: opt(oneOf('Honor', 'Ignore'), 'Whether tainted nodes are left out.', { tag: 7, pointer: true }),
    matchLabelKeys: opt(atomicList(str()), 'Labels whose values must be those of the pod.', { tag: 8 }),
  },
)
export type TopologySpreadConstraint = DeepReadonly<Static<typeof topologySpreadConstraintSchema>>
