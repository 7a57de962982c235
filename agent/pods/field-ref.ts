import type { NodeFacts } from '../contracts.ts'
import { nameOf, namespaceOf, type Pod, uidOf } from './pod-types.ts'

export interface FieldFacts {
  readonly pod: Pod
  readonly node: NodeFacts
  readonly podIp: string | undefined
}

/** Value of a `fieldRef` path; undefined when the path names nothing that may be read. */
export function fieldValue(path: string, { pod, node, podIp }: FieldFacts): string | undefined {
  const keyed = /^metadata\.(labels|annotations)\['([^']{1,317})'\]$/.exec(path)
  if (keyed !== null) return pod.metadata[keyed[1] === 'labels' ? 'labels' : 'annotations']?.[keyed[2] ?? ''] ?? ''
  switch (path) {
    case 'metadata.name':
      return nameOf(pod)
    case 'metadata.namespace':
      return namespaceOf(pod)
    case 'metadata.uid':
      return uidOf(pod)
    case 'metadata.labels':
      return mapText(pod.metadata.labels)
    case 'metadata.annotations':
      return mapText(pod.metadata.annotations)
    case 'spec.nodeName':
      return node.name
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? 'default'
    case 'status.hostIP':
    case 'status.hostIPs':
      return node.ip
    case 'status.podIP':
    case 'status.podIPs':
      return podIp ?? ''
    default:
      return undefined
  }
}

/** `key="escaped value"` lines sorted by key, as downwardAPI files show maps. */
function mapText(map: Readonly<Record<string, string>> = {}): string {
  return Object.keys(map)
    .sort()
    .map((key) => `${key}=${JSON.stringify(map[key])}`)
    .join('\n')
}
