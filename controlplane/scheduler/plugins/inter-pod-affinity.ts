import type { Pod } from '../../../api/kinds/pod.ts'
import type { PodAffinityTerm } from '../../../api/kinds/pod-spec/affinity.ts'
import { labelSelector } from '../../../api/meta/selector.ts'
import type { NodeInfo } from '../snapshot.ts'
import { type Cluster, definePlugin, fits } from './plugin.ts'

interface Rule {
  readonly topologyKey: string
  /** Values of the topology key where a matching pod stands. */
  readonly places: ReadonlySet<string>
  /** Nobody matches yet, but the pod itself does: the first of its kind may go anywhere. */
  readonly isFirst: boolean
}

interface State {
  readonly affinity: readonly Rule[]
  readonly antiAffinity: readonly Rule[]
  /** Places that pods which stand there keep this one out of. */
  readonly keptOut: readonly { readonly topologyKey: string; readonly value: string }[]
  readonly preferred: readonly (Rule & { readonly weight: number })[]
}

type PodMatcher = (pod: Pod) => boolean

/** Which pods a term means, seen from the pod that carries it. */
function matcherOf(term: PodAffinityTerm, carrier: Pod, cluster: Cluster): PodMatcher {
  const labels = labelSelector(term.labelSelector)
  const own = carrier.metadata.namespace ?? ''
  const names = new Set(term.namespaces ?? [])
  const bySelector = term.namespaceSelector === undefined ? undefined : labelSelector(term.namespaceSelector)
  const isHere = (namespace: string): boolean => {
    if (names.size === 0 && bySelector === undefined) return namespace === own
    return names.has(namespace) || bySelector?.(cluster.namespaceLabels(namespace) ?? {}) === true
  }
  return (pod) => isHere(pod.metadata.namespace ?? '') && labels(pod.metadata.labels)
}

const placeOf = ({ node }: NodeInfo, topologyKey: string): string | undefined => node.metadata.labels?.[topologyKey]

function ruleOf(term: PodAffinityTerm, carrier: Pod, cluster: Cluster): Rule {
  const matches = matcherOf(term, carrier, cluster)
  const places = new Set<string>()
  for (const node of cluster.nodes) {
    const place = placeOf(node, term.topologyKey)
    if (place !== undefined && !places.has(place) && [...node.pods.values()].some(matches)) places.add(place)
  }
  return { topologyKey: term.topologyKey, places, isFirst: places.size === 0 && matches(carrier) }
}

function keptOutOf(pod: Pod, cluster: Cluster): State['keptOut'] {
  return cluster.podsWithAntiAffinity.flatMap((other) => {
    const node = cluster.node(other.spec.nodeName ?? '')
    if (node === undefined) return []
    const terms = other.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
    return terms.flatMap((term) => {
      const value = placeOf(node, term.topologyKey)
      return value !== undefined && matcherOf(term, other, cluster)(pod) ? [{ topologyKey: term.topologyKey, value }] : []
    })
  })
}

function prepare(pod: Pod, cluster: Cluster): State {
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {}
  const rules = (terms: readonly PodAffinityTerm[] | undefined): readonly Rule[] =>
    (terms ?? []).map((term) => ruleOf(term, pod, cluster))
  const near = podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
  const away = podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
  return {
    affinity: rules(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    antiAffinity: rules(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    keptOut: keptOutOf(pod, cluster),
    preferred: [
      ...near.map(({ weight, podAffinityTerm }) => ({ ...ruleOf(podAffinityTerm, pod, cluster), weight })),
      ...away.map(({ weight, podAffinityTerm }) => ({ ...ruleOf(podAffinityTerm, pod, cluster), weight: -weight })),
    ],
  }
}

const isIn = (node: NodeInfo, { topologyKey, places }: Rule): boolean => places.has(placeOf(node, topologyKey) ?? '')

function filter({ affinity, antiAffinity, keptOut }: State, node: NodeInfo): readonly string[] {
  const isNear = affinity.every((rule) => placeOf(node, rule.topologyKey) !== undefined && (isIn(node, rule) || rule.isFirst))
  if (!isNear) return ["node(s) didn't match pod affinity rules"]
  if (antiAffinity.some((rule) => isIn(node, rule))) return ["node(s) didn't match pod anti-affinity rules"]
  if (keptOut.some(({ topologyKey, value }) => placeOf(node, topologyKey) === value))
    return ["node(s) didn't satisfy existing pods anti-affinity rules"]
  return fits
}

/** Preferences may count against a node: shifted, so that the worst possible is 0. */
function score({ preferred }: State, node: NodeInfo): number {
  const worst = preferred.reduce((sum, { weight }) => sum + Math.min(weight, 0), 0)
  return preferred.filter((rule) => isIn(node, rule)).reduce((sum, { weight }) => sum + weight, -worst)
}

export const interPodAffinity = definePlugin<State>({
  name: 'InterPodAffinity',
  prepare,
  filters: ({ affinity, antiAffinity, keptOut }) => affinity.length + antiAffinity.length + keptOut.length > 0,
  scores: ({ preferred }) => preferred.length > 0,
  filter,
  score,
  scale: 'max',
  weight: 2,
  wakes: ['NodeAdded', 'NodeChanged', 'PodGone', 'PodBound'],
})
