import type { Pod } from '../../../api/kinds/pod.ts'
import type { NodeSelectorRequirement, NodeSelectorTerm } from '../../../api/kinds/pod-spec/affinity.ts'
import { type Requirement, requirementHolds } from '../../../api/meta/selector.ts'
import type { NodeInfo } from '../snapshot.ts'
import { definePlugin, fits } from './plugin.ts'

/** A term without conditions matches no node. */
export function termMatches({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, { name, node }: NodeInfo): boolean {
  if (matchExpressions.length === 0 && matchFields.length === 0) return false
  const labels = node.metadata.labels ?? {}
  return matchExpressions.every((one) => holds(one, labels)) && matchFields.every((one) => holds(one, { 'metadata.name': name }))
}

function holds({ key, operator, values = [] }: NodeSelectorRequirement, labels: Readonly<Record<string, string>>): boolean {
  return requirementHolds({ key, operator, values } as Requirement, labels)
}

function mayGoTo(pod: Pod, info: NodeInfo): boolean {
  const labels = info.node.metadata.labels ?? {}
  if (!Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value)) return false
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  return required === undefined || required.nodeSelectorTerms.some((term) => termMatches(term, info))
}

export const nodeAffinity = definePlugin<Pod>({
  name: 'NodeAffinity',
  prepare: (pod) => pod,
  filters: ({ spec }) =>
    Object.keys(spec.nodeSelector ?? {}).length > 0 ||
    spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution !== undefined,
  scores: ({ spec }) => (spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).length > 0,
  filter: (pod, info) => (mayGoTo(pod, info) ? fits : ["node(s) didn't match Pod's node affinity/selector"]),
  score: (pod, info) =>
    (pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
      .filter(({ preference }) => termMatches(preference, info))
      .reduce((sum, { weight }) => sum + weight, 0),
  scale: 'max',
  weight: 2,
  wakes: ['NodeAdded', 'NodeChanged'],
})
