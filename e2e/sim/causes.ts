import type { Deployment } from '../../api/kinds/deployment.ts'
import type { EndpointSlice } from '../../api/kinds/endpoint-slice.ts'
import type { Node } from '../../api/kinds/node.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import type { ReplicaSet } from '../../api/kinds/replica-set.ts'
import type { Service } from '../../api/kinds/service.ts'
import { type ApiObject, controllerOf, keyOf } from '../../api/meta/object-meta.ts'
import type { Clock } from '../../lib/clock.ts'
import { isActive, isFinished } from './pods.ts'
import { type Restore, saved } from './saved.ts'

export interface CausesOptions {
  readonly clock: Clock
  /** All there are, by UID. */
  readonly pods: ReadonlyMap<string, Pod>
  readonly fail: (problem: string) => void
}

/** How old a view may be that somebody acts on, while nothing goes wrong with control planes, and while something does. */
const quietMs = 5_000
const troubledMs = 150_000
/** An eviction that was decided upon takes its time. */
const evictionMs = 60_000

interface Timed<T> {
  readonly value: T
  readonly atMs: number
}

/**
 * The counts of Sieve's second oracle, cause by cause: what controllers make and delete on their own must each have a
 * reason, in what the store held then or a short while before. A fault may delay a reason; it is none itself.
 */
export class Causes {
  readonly #clock: Clock
  readonly #pods: ReadonlyMap<string, Pod>
  readonly #fail: (problem: string) => void
  /** Numbers of replicas that each ReplicaSet was to have. */
  readonly #replicas = new Map<string, Timed<number>[]>()
  readonly #sets = new Map<string, ReplicaSet>()
  readonly #deployments = new Map<string, Deployment>()
  /** Deployments whose ReplicaSets are to stay. */
  readonly #orphaned = new Set<string>()
  readonly #services = new Map<string, Service>()
  readonly #slices = new Map<string, EndpointSlice>()
  readonly #terminating = new Set<string>()
  readonly #namespaces = new Set<string>()
  /** When pods of a ReplicaSet stopped counting. */
  readonly #left = new Map<string, number[]>()
  /** When pods got their address. */
  readonly #addressedAtMs = new Map<string, number>()
  /** Deployment and template of each ReplicaSet that there has been. */
  readonly #made = new Set<string>()
  readonly #nodes = new Map<string, Node>()
  /** Since when a node is not there, or takes no new pods; and until when it drove pods away. */
  readonly #closedSinceMs = new Map<string, number>()
  readonly #drivenUntilMs = new Map<string, number>()
  #troubledUntilMs = 0

  constructor({ clock, pods, fail }: CausesOptions) {
    this.#clock = clock
    this.#pods = pods
    this.#fail = fail
  }

  /** All that was seen so far, to be brought back when the store is. */
  save(): Restore {
    return saved(
      ...[this.#replicas, this.#sets, this.#deployments, this.#services, this.#slices, this.#left, this.#addressedAtMs],
      ...[this.#nodes, this.#closedSinceMs, this.#drivenUntilMs],
      ...[this.#orphaned, this.#terminating, this.#namespaces, this.#made],
    )
  }

  /** What is known to control planes may be old for a while. */
  troubled(forMs: number): void {
    this.#troubledUntilMs = Math.max(this.#troubledUntilMs, this.#clock.monotonicMs() + forMs + troubledMs)
  }

  get #windowMs(): number {
    return this.#clock.monotonicMs() < this.#troubledUntilMs ? troubledMs : quietMs
  }

  see(plural: string, old: ApiObject | undefined, now: ApiObject | undefined): void {
    const uid = (now ?? old)?.metadata.uid ?? ''
    if (plural === 'pods') this.#seePod(old as Pod | undefined, now as Pod | undefined)
    else if (plural === 'nodes') this.#seeNode(now as Node | undefined, keyOf(now ?? old ?? noObject))
    else if (plural === 'namespaces') this.#seeNamespace(now, keyOf(now ?? old ?? noObject))
    else if (plural === 'deployments') this.#seeDeployment(uid, now as Deployment | undefined)
    else if (plural === 'services') keep(this.#services, uid, now as Service | undefined)
    else if (plural === 'replicasets') this.#seeSet(uid, old as ReplicaSet | undefined, now as ReplicaSet | undefined)
    else if (plural === 'endpointslices') this.#seeSlice(uid, old as EndpointSlice | undefined, now as EndpointSlice | undefined)
  }

  #seeNamespace(now: ApiObject | undefined, name: string): void {
    if (now === undefined) this.#namespaces.delete(name)
    else this.#namespaces.add(name)
    if (now?.metadata.deletionTimestamp === undefined) this.#terminating.delete(name)
    else this.#terminating.add(name)
  }

  #isClosing(namespace = ''): boolean {
    return this.#terminating.has(namespace) || !this.#namespaces.has(namespace)
  }

  #seeNode(now: Node | undefined, name: string): void {
    const nowMs = this.#clock.monotonicMs()
    keep(this.#nodes, name, now)
    const taints = now?.spec?.taints ?? []
    const isClosed =
      now === undefined || now.spec?.unschedulable === true || taints.some(({ effect }) => effect !== 'PreferNoSchedule')
    if (!isClosed) this.#closedSinceMs.delete(name)
    else if (!this.#closedSinceMs.has(name)) this.#closedSinceMs.set(name, nowMs)
    const drives = now === undefined || taints.some(({ effect }) => effect === 'NoExecute')
    if (drives) this.#drivenUntilMs.set(name, Number.POSITIVE_INFINITY)
    else if (this.#drivenUntilMs.get(name) === Number.POSITIVE_INFINITY) this.#drivenUntilMs.set(name, nowMs + evictionMs)
  }

  #seeDeployment(uid: string, now: Deployment | undefined): void {
    keep(this.#deployments, uid, now)
    if (now?.metadata.finalizers?.includes('orphan') === true) this.#orphaned.add(uid)
  }

  #seeSet(uid: string, old: ReplicaSet | undefined, now: ReplicaSet | undefined): void {
    keep(this.#sets, uid, now)
    if (now !== undefined) this.#seeWish(uid, now.spec.replicas ?? 1)
    if (old === undefined && now !== undefined) this.#checkNewSet(now)
    if (old !== undefined && now === undefined && !this.#isClosing(old.metadata.namespace)) this.#checkOldSet(old)
  }

  #seeWish(setUid: string, replicas: number): void {
    const seen = this.#replicas.get(setUid) ?? []
    if (seen.at(-1)?.value !== replicas) seen.push({ value: replicas, atMs: this.#clock.monotonicMs() })
    this.#replicas.set(setUid, seen)
  }

  /** One for each template of a deployment. */
  #checkNewSet(set: ReplicaSet): void {
    const owner = controllerOf(set)
    if (owner === undefined) return
    const made = `${owner.uid} ${set.spec.template?.spec?.containers[0]?.image}`
    if (this.#made.has(made)) this.#fail(`deployment ${owner.name} made ReplicaSet ${keyOf(set)} for a template that has one`)
    this.#made.add(made)
  }

  /** None goes before its deployment does, and none that was orphaned goes at all. */
  #checkOldSet(set: ReplicaSet): void {
    const owner = controllerOf(set)
    const deployment = this.#deployments.get(owner?.uid ?? '')
    const isOwned = deployment !== undefined && deployment.metadata.deletionTimestamp === undefined
    if (isOwned || owner === undefined || this.#orphaned.has(owner.uid))
      this.#fail(`ReplicaSet ${keyOf(set)} was deleted, and should have stayed`)
  }

  /** One slice for a service, which goes only with its service or its last endpoint. */
  #seeSlice(uid: string, old: EndpointSlice | undefined, now: EndpointSlice | undefined): void {
    keep(this.#slices, uid, now)
    const slice = now ?? old
    const owner = slice === undefined ? undefined : controllerOf(slice)
    if (slice === undefined || owner === undefined) return
    const others = [...this.#slices.values()].filter((one) => one !== now && controllerOf(one)?.uid === owner.uid)
    if (old === undefined && others.length > 0) this.#fail(`service ${owner.name} got a second slice, ${keyOf(slice)}`)
    if (now !== undefined || this.#isClosing(slice.metadata.namespace)) return
    const service = this.#services.get(owner.uid)
    if (service === undefined || service.metadata.deletionTimestamp !== undefined) return
    const sinceMs = this.#clock.monotonicMs() - this.#windowMs
    const served = [...this.#pods.values()].find((pod) => this.#isServed(pod, service, sinceMs))
    if (served !== undefined) this.#fail(`slice ${keyOf(slice)} was deleted, and its service has pod ${keyOf(served)}`)
  }

  #isServed(pod: Pod, { metadata: { namespace }, spec: { selector = {} } }: Service, sinceMs: number): boolean {
    const { labels = {}, uid = '' } = pod.metadata
    const isSelected =
      pod.metadata.namespace === namespace && Object.entries(selector).every(([key, value]) => labels[key] === value)
    return isSelected && !isFinished(pod) && (this.#addressedAtMs.get(uid) ?? Number.POSITIVE_INFINITY) < sinceMs
  }

  #seePod(old: Pod | undefined, now: Pod | undefined): void {
    const pod = now ?? old
    if (pod === undefined) return
    const { uid = '' } = pod.metadata
    const nowMs = this.#clock.monotonicMs()
    if (now?.status?.podIP !== undefined && old?.status?.podIP === undefined) this.#addressedAtMs.set(uid, nowMs)
    if (now?.status?.podIP === undefined) this.#addressedAtMs.delete(uid)
    const owner = controllerOf(pod)
    const stopsCounting = old !== undefined && isActive(old) && (now === undefined || !isActive(now))
    if (stopsCounting && owner !== undefined) this.#left.set(owner.uid, [...(this.#left.get(owner.uid) ?? []), nowMs])
    if (now !== undefined && old === undefined) this.#checkMade(now)
    if (now?.spec.nodeName !== undefined && old?.spec.nodeName === undefined) this.#checkPlace(now.spec.nodeName, now)
  }

  /** A ReplicaSet never has more pods than it was to have within the window. */
  #checkMade(pod: Pod): void {
    const owner = controllerOf(pod)
    if (owner?.kind !== 'ReplicaSet') return
    const own = this.#activeOf(owner.uid)
    const most = Math.max(0, ...this.#wishes(owner.uid))
    if (own > most) this.#fail(`ReplicaSet ${owner.name} has ${own} pods, and was never to have more than ${most}`)
  }

  #activeOf(setUid: string): number {
    let count = 0
    for (const pod of this.#pods.values()) if (controllerOf(pod)?.uid === setUid && isActive(pod)) count++
    return count
  }

  /** Of replicas, within the window; the last one before it still counts, as it was the newest one then. */
  #wishes(setUid: string): readonly number[] {
    const seen = this.#replicas.get(setUid) ?? []
    const sinceMs = this.#clock.monotonicMs() - this.#windowMs
    const first = seen.findLastIndex(({ atMs }) => atMs < sinceMs)
    return seen.slice(Math.max(0, first)).map(({ value }) => value)
  }

  #checkPlace(node: string, pod: Pod): void {
    const since = this.#closedSinceMs.get(node)
    if (since !== undefined && this.#clock.monotonicMs() - since > this.#windowMs)
      this.#fail(`pod ${keyOf(pod)} was bound to ${node}, which takes none`)
  }

  /** A control plane asks for a deletion of `pod` for the first time. */
  checkDeletion(pod: Pod): void {
    const { namespace, uid = '' } = pod.metadata
    if (this.#isClosing(namespace) || this.#isDriven(pod.spec.nodeName)) return
    const owner = controllerOf(pod)
    if (owner !== undefined && this.#isSurplus(owner.uid, uid)) return
    this.#fail(`pod ${keyOf(pod)} was deleted without a cause`)
  }

  #isDriven(node: string | undefined): boolean {
    if (node === undefined) return false
    return !this.#nodes.has(node) || (this.#drivenUntilMs.get(node) ?? 0) > this.#clock.monotonicMs()
  }

  #isSurplus(setUid: string, podUid: string): boolean {
    const set = this.#sets.get(setUid)
    if (set === undefined || set.metadata.deletionTimestamp !== undefined) return true
    const pod = this.#pods.get(podUid)
    const active = this.#activeOf(setUid) + (pod !== undefined && isActive(pod) ? 0 : 1)
    const sinceMs = this.#clock.monotonicMs() - this.#windowMs
    const left = (this.#left.get(setUid) ?? []).filter((atMs) => atMs >= sinceMs).length
    return active + left > Math.min(...this.#wishes(setUid))
  }
}

const noObject: ApiObject = { apiVersion: '', kind: '', metadata: {} }

function keep<T>(all: Map<string, T>, key: string, now: T | undefined): void {
  if (now === undefined) all.delete(key)
  else all.set(key, now)
}
