import type { DeepReadonly } from '../meta/object-meta.ts'
import { atomicList, int64, message, oneOf, opt, quantity, req, type Static, str, stringMap, Type, time } from './schema.ts'

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'
const core = 'io.k8s.api.core.v1'

const labelSelectorRequirementSchema = message(`${meta}.LabelSelectorRequirement`, 'A rule on the values of one label.', {
  key: req(str(), 'The label that the rule looks at.', { tag: 1 }),
  operator: req(oneOf('In', 'NotIn', 'Exists', 'DoesNotExist'), 'How key and values relate.', { tag: 2 }),
  values: opt(atomicList(str()), 'Values for In and NotIn; left out for Exists and DoesNotExist.', { tag: 3 }),
})

export const labelSelectorSchema = message(
  `${meta}.LabelSelector`,
  'Selects objects by their labels. All rules must hold; an empty selector selects everything.',
  {
    matchLabels: opt(stringMap(), 'Labels that must have exactly these values.', { tag: 1 }),
    matchExpressions: opt(atomicList(labelSelectorRequirementSchema), 'Rules on labels.', { tag: 2 }),
  },
)
export type LabelSelector = DeepReadonly<Static<typeof labelSelectorSchema>>

export const localObjectReferenceSchema = message(
  `${core}.LocalObjectReference`,
  'Names an object of a known kind in the same namespace.',
  { name: opt(str(), 'Name of the object.', { tag: 1 }) },
)

export const objectReferenceSchema = message(`${core}.ObjectReference`, 'Names an object or a part of one.', {
  apiVersion: opt(str(), 'Group and version of the object.', { tag: 5 }),
  fieldPath: opt(str(), 'The part of the object that is meant, as in spec.containers{web}.', { tag: 7 }),
  kind: opt(str(), 'Kind of the object.', { tag: 1 }),
  name: opt(str(), 'Name of the object.', { tag: 3 }),
  namespace: opt(str(), 'Namespace of the object.', { tag: 2 }),
  resourceVersion: opt(str(), 'The state of the object that is meant.', { tag: 6 }),
  uid: opt(str(), 'UID of the object.', { tag: 4 }),
})
export type ObjectReference = DeepReadonly<Static<typeof objectReferenceSchema>>

export const conditionStatusSchema = oneOf('True', 'False', 'Unknown')

/** metav1.Condition. */
export const conditionSchema = message(`${meta}.Condition`, 'One aspect of the state of an object.', {
  type: req(str(), 'Name of the aspect.', { tag: 1 }),
  status: req(conditionStatusSchema, 'Whether it holds.', { tag: 2 }),
  observedGeneration: opt(int64(), 'The generation that the condition was computed from.', { tag: 3 }),
  lastTransitionTime: opt(time(), 'When the status last changed.', { tag: 4 }),
  reason: opt(str(), 'Why it last changed, as one CamelCase word.', { tag: 5 }),
  message: opt(str(), 'Why it last changed, for people.', { tag: 6 }),
})

/** Amounts by resource name: cpu, memory, ephemeral-storage, pods … */
export const resourceListSchema = Type.Unsafe<Record<string, string | number>>({
  type: 'object',
  additionalProperties: quantity(),
})
export type ResourceList = DeepReadonly<Static<typeof resourceListSchema>>
