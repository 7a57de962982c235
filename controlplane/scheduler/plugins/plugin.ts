import type { Pod } from '../../../api/kinds/pod.ts'
import type { NodeInfo } from '../snapshot.ts'

/** What happened in the cluster, as far as it can help a pod that fitted nowhere. */
export type ClusterEvent = 'NodeAdded' | 'NodeChanged' | 'PodGone' | 'PodBound'

/** What plugins may look at. */
export interface Cluster {
  readonly nodes: readonly NodeInfo[]
  readonly podsWithAntiAffinity: readonly Pod[]
  node(name: string): NodeInfo | undefined
  /** Labels of a namespace, for namespace selectors. */
  namespaceLabels(namespace: string): Readonly<Record<string, string>> | undefined
}

/**
 * One rule of scheduling (Kubernetes: a scheduler plugin). `prepare` does once per pod what does not depend on the node;
 * everything is pure.
 */
export interface Plugin<S = unknown> {
  readonly name: string
  prepare(pod: Pod, cluster: Cluster): S
  /** Whether the filter can turn any node away; absent: it can. Spares asking it about each of them. */
  filters?(state: S): boolean
  /** Whether the scores of nodes can differ; absent: they can. */
  scores?(state: S): boolean
  /** Why the pod cannot go there, in the words that the user reads after "N "; nothing when it can. */
  filter?(state: S, node: NodeInfo): readonly string[]
  /** Higher is better, in any unit; see `scale`. */
  score?(state: S, node: NodeInfo): number
  /** How raw scores become 0 to 100: `none` are so already, `max` divides by the highest, `inverse` gives the lowest 100. */
  readonly scale?: 'none' | 'max' | 'inverse'
  readonly weight?: number
  /** Events that could make room for a pod which this plugin turned away. */
  readonly wakes?: readonly ClusterEvent[]
}

/** Keeps a plugin's own state type inside it. */
export const definePlugin = <S>(plugin: Plugin<S>): Plugin => plugin as Plugin

export const fits: readonly string[] = []
