import { wrongLabel, wrongLabelValue, wrongQualifiedName } from '../../meta/names.ts'
import { forbiddenField, invalid, notSupported, required } from '../../meta/status.ts'
import { checkName, checkRange, checkSelector, checkText, type Wrong } from '../rules.ts'
import type {
  Affinity,
  NodeAffinity,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodAffinityTerm,
  Toleration,
  TopologySpreadConstraint,
} from './affinity.ts'

export function* checkAffinity(field: string, affinity: Affinity): Wrong {
  if (affinity.nodeAffinity !== undefined) yield* checkNodeAffinity(`${field}.nodeAffinity`, affinity.nodeAffinity)
  for (const which of ['podAffinity', 'podAntiAffinity'] as const) {
    const rules = affinity[which]
    for (const [index, term] of (rules?.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      yield* checkPodTerm(`${field}.${which}.requiredDuringSchedulingIgnoredDuringExecution[${index}]`, term)
    }
    for (const [index, term] of (rules?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      const at = `${field}.${which}.preferredDuringSchedulingIgnoredDuringExecution[${index}]`
      yield* checkRange(`${at}.weight`, term.weight, 1, 100)
      yield* checkPodTerm(`${at}.podAffinityTerm`, term.podAffinityTerm)
    }
  }
}

function* checkNodeAffinity(field: string, affinity: NodeAffinity): Wrong {
  const hard = affinity.requiredDuringSchedulingIgnoredDuringExecution
  if (hard !== undefined) {
    const at = `${field}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`
    if (hard.nodeSelectorTerms.length === 0) yield required(at, 'must have at least one node selector term')
    for (const [index, term] of hard.nodeSelectorTerms.entries()) yield* checkNodeTerm(`${at}[${index}]`, term)
  }
  for (const [index, term] of (affinity.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    const at = `${field}.preferredDuringSchedulingIgnoredDuringExecution[${index}]`
    yield* checkRange(`${at}.weight`, term.weight, 1, 100)
    yield* checkNodeTerm(`${at}.preference`, term.preference)
  }
}

function* checkNodeTerm(field: string, term: NodeSelectorTerm): Wrong {
  for (const [index, rule] of (term.matchExpressions ?? []).entries()) {
    yield* checkNodeRule(`${field}.matchExpressions[${index}]`, rule)
  }
  for (const [index, rule] of (term.matchFields ?? []).entries()) {
    const at = `${field}.matchFields[${index}]`
    if (rule.key !== 'metadata.name') yield notSupported(`${at}.key`, rule.key, ['metadata.name'])
    if (rule.operator !== 'In' && rule.operator !== 'NotIn') yield notSupported(`${at}.operator`, rule.operator, ['In', 'NotIn'])
    if (rule.values?.length !== 1) yield required(`${at}.values`, 'must have one value for a field selector')
  }
}

function* checkNodeRule(field: string, rule: NodeSelectorRequirement): Wrong {
  yield* checkText(`${field}.key`, rule.key, wrongQualifiedName)
  yield* checkValueCount(field, rule)
  if (rule.operator !== 'In' && rule.operator !== 'NotIn') return
  for (const [index, value] of (rule.values ?? []).entries())
    yield* checkText(`${field}.values[${index}]`, value, wrongLabelValue)
}

function* checkValueCount(field: string, { operator, values = [] }: NodeSelectorRequirement): Wrong {
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0) yield required(`${field}.values`, 'must be given when `operator` is In or NotIn')
      return
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0) {
        yield forbiddenField(`${field}.values`, 'may not be given when `operator` is Exists or DoesNotExist')
      }
      return
    case 'Gt':
    case 'Lt':
      if (values.length !== 1 || !/^-?\d+$/.test(values[0] ?? '')) {
        yield required(`${field}.values`, 'must be a single whole number when `operator` is Gt or Lt')
      }
  }
}

function* checkPodTerm(field: string, term: PodAffinityTerm): Wrong {
  yield* checkSelector(`${field}.labelSelector`, term.labelSelector)
  yield* checkSelector(`${field}.namespaceSelector`, term.namespaceSelector)
  for (const [index, name] of (term.namespaces ?? []).entries()) {
    yield* checkName(`${field}.namespaces[${index}]`, name, wrongLabel)
  }
  yield* checkName(`${field}.topologyKey`, term.topologyKey, wrongQualifiedName)
}

export function* checkTolerations(field: string, tolerations: readonly Toleration[]): Wrong {
  for (const [index, one] of tolerations.entries()) yield* checkToleration(`${field}[${index}]`, one)
}

function* checkToleration(field: string, { key = '', operator = 'Equal', value, effect, tolerationSeconds }: Toleration): Wrong {
  if (key !== '') yield* checkText(`${field}.key`, key, wrongQualifiedName)
  else if (operator !== 'Exists') yield invalid(`${field}.operator`, operator, 'must be Exists when `key` is empty')
  if (operator === 'Equal') yield* checkText(`${field}.value`, value, wrongLabelValue)
  else if (value !== undefined && value !== '') yield invalid(`${field}.value`, value, 'must be empty when `operator` is Exists')
  if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
    yield invalid(`${field}.effect`, effect ?? '', 'must be NoExecute when `tolerationSeconds` is set')
  }
}

export function* checkSpread(field: string, constraints: readonly TopologySpreadConstraint[]): Wrong {
  for (const [index, one] of constraints.entries()) {
    const at = `${field}[${index}]`
    if (one.maxSkew < 1) yield invalid(`${at}.maxSkew`, one.maxSkew, 'must be greater than 0')
    if (one.minDomains !== undefined && one.minDomains < 1) {
      yield invalid(`${at}.minDomains`, one.minDomains, 'must be greater than 0')
    }
    yield* checkName(`${at}.topologyKey`, one.topologyKey, wrongQualifiedName)
    yield* checkSelector(`${at}.labelSelector`, one.labelSelector)
  }
}
