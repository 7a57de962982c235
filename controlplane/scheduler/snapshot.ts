import type { Node, Taint } from '../../api/kinds/node.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import { controllerOf } from '../../api/meta/object-meta.ts'
import { type Amounts, allocatable, podRequests, scoredRequest } from './resources.ts'
import { Room } from './room.ts'

export interface HostPort {
  readonly ip: string
  readonly protocol: string
  readonly port: number
}

/** A node and what stands on it. Read by plugins, changed only by the snapshot. */
export interface NodeInfo {
  readonly name: string
  readonly node: Node
  /** Of the node's spec: what every pod asks of hundreds of nodes is at hand here. */
  readonly isUnschedulable: boolean
  readonly taints: readonly Taint[]
  readonly pods: ReadonlyMap<string, Pod>
  readonly allocatable: Amounts
  readonly requested: Amounts
  readonly room: Pick<Room, 'isFullOfPods' | 'fits' | 'usedShare'>
  readonly hostPorts: readonly HostPort[]
  /** How many pods each owner has here, by UID. */
  readonly owners: ReadonlyMap<string, number>
  /** Bytes of the images that are here, by each of their names. */
  readonly images: ReadonlyMap<string, number>
}

export function hostPortsOf(pod: Pod): readonly HostPort[] {
  return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].flatMap(({ ports }) =>
    (ports ?? []).flatMap(({ hostPort, hostIP, protocol, containerPort }) => {
      const port = hostPort ?? (pod.spec.hostNetwork === true ? containerPort : 0)
      return port === 0 ? [] : [{ ip: hostIP ?? '', protocol: protocol ?? 'TCP', port }]
    }),
  )
}

class Entry implements NodeInfo {
  readonly name: string
  node: Node
  isUnschedulable: boolean
  taints: readonly Taint[]
  readonly pods = new Map<string, Pod>()
  allocatable: Amounts
  readonly requested = new Map<string, number>()
  /** With a minimum for pods that ask for nothing. */
  readonly scored = { cpu: 0, memory: 0 }
  readonly room = new Room()
  hostPorts: readonly HostPort[] = []
  readonly owners = new Map<string, number>()
  images: ReadonlyMap<string, number>

  constructor(name: string, node: Node) {
    this.name = name
    this.node = node
    this.isUnschedulable = node.spec?.unschedulable === true
    this.taints = node.spec?.taints ?? noTaints
    this.allocatable = allocatable(node)
    this.images = imagesOf(node)
    this.room.measure(this)
  }

  setNode(node: Node): void {
    const { status } = this.node
    this.node = node
    this.isUnschedulable = node.spec?.unschedulable === true
    this.taints = node.spec?.taints ?? noTaints
    // Most changes of a node are only its heartbeat.
    if (node.status?.images !== status?.images) this.images = imagesOf(node)
    this.allocatable = allocatable(node)
    this.room.measure(this)
  }

  add(uid: string, pod: Pod): void {
    this.pods.set(uid, pod)
    this.#count(pod, 1)
    const ports = hostPortsOf(pod)
    if (ports.length > 0) this.hostPorts = [...this.hostPorts, ...ports]
  }

  remove(uid: string): void {
    const pod = this.pods.get(uid)
    if (pod === undefined) return
    this.pods.delete(uid)
    this.#count(pod, -1)
    if (hostPortsOf(pod).length > 0) this.hostPorts = [...this.pods.values()].flatMap(hostPortsOf)
  }

  #count(pod: Pod, sign: 1 | -1): void {
    for (const [name, amount] of podRequests(pod)) this.requested.set(name, (this.requested.get(name) ?? 0) + sign * amount)
    this.scored.cpu += sign * scoredRequest(pod, 'cpu')
    this.scored.memory += sign * scoredRequest(pod, 'memory')
    this.room.measure(this)
    const owner = controllerOf(pod)?.uid
    if (owner === undefined) return
    const count = (this.owners.get(owner) ?? 0) + sign
    if (count === 0) this.owners.delete(owner)
    else this.owners.set(owner, count)
  }
}

const noTaints: readonly Taint[] = []

const imagesOf = ({ status }: Node): ReadonlyMap<string, number> =>
  new Map((status?.images ?? []).flatMap(({ names, sizeBytes }) => (names ?? []).map((name) => [name, sizeBytes ?? 0] as const)))

/**
 * The cluster as the scheduler sees it: nodes with the pods that are bound to them, or that it has just decided to
 * bind there (assumed). Kept up change by change; sums are never counted anew.
 */
export class Snapshot {
  readonly #nodes = new Map<string, Entry>()
  /** Where each pod stands, by UID. */
  readonly #places = new Map<string, string>()
  readonly #assumed = new Set<string>()
  /** Pods on nodes that are not known (yet). */
  readonly #homeless = new Map<string, Map<string, Pod>>()
  readonly #withAntiAffinity = new Map<string, Pod>()
  /** Made again when one was added or removed. */
  #nodeList: readonly NodeInfo[] | undefined
  #antiAffinityList: readonly Pod[] | undefined

  get nodes(): readonly NodeInfo[] {
    this.#nodeList ??= [...this.#nodes.values()]
    return this.#nodeList
  }

  /** Bound pods whose required anti-affinity may speak against others. */
  get podsWithAntiAffinity(): readonly Pod[] {
    this.#antiAffinityList ??= [...this.#withAntiAffinity.values()]
    return this.#antiAffinityList
  }

  node(name: string): NodeInfo | undefined {
    return this.#nodes.get(name)
  }

  setNode(node: Node): void {
    const name = node.metadata.name ?? ''
    const known = this.#nodes.get(name)
    if (known !== undefined) {
      known.setNode(node)
      return
    }
    const entry = new Entry(name, node)
    this.#nodes.set(name, entry)
    this.#nodeList = undefined
    for (const [uid, pod] of this.#homeless.get(name) ?? []) entry.add(uid, pod)
    this.#homeless.delete(name)
  }

  removeNode(name: string): void {
    const entry = this.#nodes.get(name)
    if (entry === undefined) return
    this.#nodes.delete(name)
    this.#nodeList = undefined
    if (entry.pods.size > 0) this.#homeless.set(name, new Map(entry.pods))
  }

  /** A pod as the API has it, bound to a node. Confirms what was assumed. */
  setPod(pod: Pod): void {
    const { uid = '' } = pod.metadata
    this.#assumed.delete(uid)
    this.#place(pod, pod.spec.nodeName ?? '')
  }

  /** Counts a pod on a node before the API has it. */
  assume(pod: Pod, node: string): void {
    this.#place(pod, node)
    this.#assumed.add(pod.metadata.uid ?? '')
  }

  isAssumed(uid: string): boolean {
    return this.#assumed.has(uid)
  }

  /** Takes back an assumption; a bound pod stays. */
  forget(uid: string): void {
    if (this.#assumed.delete(uid)) this.#remove(uid)
  }

  removePod(uid: string): void {
    this.#assumed.delete(uid)
    this.#remove(uid)
  }

  #place(pod: Pod, node: string): void {
    const { uid = '' } = pod.metadata
    this.#remove(uid)
    this.#places.set(uid, node)
    if ((pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).length > 0) {
      this.#withAntiAffinity.set(uid, { ...pod, spec: { ...pod.spec, nodeName: node } })
      this.#antiAffinityList = undefined
    }
    const entry = this.#nodes.get(node)
    if (entry !== undefined) {
      entry.add(uid, pod)
      return
    }
    const waiting = this.#homeless.get(node) ?? new Map<string, Pod>()
    waiting.set(uid, pod)
    this.#homeless.set(node, waiting)
  }

  #remove(uid: string): void {
    const node = this.#places.get(uid)
    if (node === undefined) return
    this.#places.delete(uid)
    if (this.#withAntiAffinity.delete(uid)) this.#antiAffinityList = undefined
    this.#nodes.get(node)?.remove(uid)
    const waiting = this.#homeless.get(node)
    waiting?.delete(uid)
    if (waiting?.size === 0) this.#homeless.delete(node)
  }
}
