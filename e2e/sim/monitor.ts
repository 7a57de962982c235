import { parsePosition } from '../../agent/desired/position.ts'
import type { ContainerState } from '../../agent/runtime/runtime.ts'
import type { Node } from '../../api/kinds/node.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import { type ApiObject, keyOf as placeOf } from '../../api/meta/object-meta.ts'
import { quantityMilli } from '../../api/meta/quantity.ts'
import { isUnavailable } from '../../api/meta/status.ts'
import { incarnationKey } from '../../controlplane/store/incarnation.ts'
import { kindPrefix, type ObjectKey, parseObjectKey } from '../../controlplane/store/keys.ts'
import type { MemoryStore } from '../../controlplane/store/memory.ts'
import { type KeyValue, objectPrefix, type StoreEvent, type Transaction } from '../../controlplane/store/store.ts'
import type { Clock } from '../../lib/clock.ts'
import type { SimNode } from './agent.ts'
import { Causes } from './causes.ts'
import { type Census, Counter } from './census.ts'
import { sharedDecode } from './decode.ts'
import type { EngineWatcher } from './engine.ts'
import { holdFinalizer } from './manifests.ts'
import { isFinished, isReady } from './pods.ts'
import { type Restore, saved } from './saved.ts'
import { leaderKey, type SeenCommit } from './store.ts'

export interface MonitorOptions {
  readonly store: MemoryStore
  readonly clock: Clock
  readonly trace: (line: string) => void
}

const podPrefix = kindPrefix({ group: '', plural: 'pods' })
/** A node that was welcomed has its complete set by then. */
const setMs = 5000
const deletionMark = Buffer.from('"deletionTimestamp"')

/**
 * Sees every change of the store and every container that starts or is ended, past all processes and their faults, and
 * says what must never happen (reliability.md 4.2).
 */
export class Monitor implements EngineWatcher {
  readonly #store: MemoryStore
  readonly #clock: Clock
  readonly #trace: (line: string) => void
  readonly pods = new Map<string, Pod>()
  readonly #nodes = new Map<string, Node>()
  /** UIDs by namespace and name. */
  readonly #podUids = new Map<string, string>()
  readonly #deleting = new Set<string>()
  readonly #counter = new Counter()
  /** UIDs of all pods that there have been. */
  readonly #seen = new Set<string>()
  /** Pods that the store does not know any more since it was put back, nor that they were deleted; as they were then. */
  readonly forgotten = new Map<string, Pod | undefined>()
  /** Pods that had gone, or were going, and are there again. */
  readonly revived = new Set<string>()
  /** Nodes that pods were bound to when the store was put back to before that. */
  readonly #unbound = new Map<string, ReadonlySet<string>>()
  #life = 0
  #restoredId: string | undefined
  #laggingUntilMs = Number.NEGATIVE_INFINITY
  readonly causes: Causes
  readonly counts = new Map<string, number>()
  #engines: readonly SimNode[] = []
  problem: string | undefined
  /** Told when a deletion has just been written, before anybody else hears of it. */
  onDelete: (() => void) | undefined
  commits = 0

  constructor({ store, clock, trace }: MonitorOptions) {
    this.#store = store
    this.#clock = clock
    this.#trace = trace
    this.causes = new Causes({ clock, pods: this.pods, fail: (problem) => this.fail(problem) })
  }

  fail(problem: string): void {
    if (this.problem !== undefined) return
    this.problem = problem
    this.#trace(`PROBLEM ${problem}`)
  }

  watch(engines: readonly SimNode[]): void {
    this.#engines = engines
    this.#follow()
  }

  #follow(): void {
    const life = this.#life
    const { revision } = this.#store
    const { signal } = new AbortController()
    const follow = async (): Promise<void> => {
      for await (const { events } of this.#store.watch({ prefix: objectPrefix, afterRevision: revision, signal })) {
        for (const event of events) this.#see(event)
      }
    }
    follow().catch((err: unknown) => {
      // All watches break when the store does; there is nothing to be seen until it is put back.
      if (this.#life === life && !isUnavailable(err))
        this.fail(`the monitor stopped: ${err instanceof Error ? err.stack : String(err)}`)
    })
  }

  /** All that was seen so far, to be brought back when the store is. */
  save(): Restore {
    const collections = saved(this.pods, this.#nodes, this.#podUids, this.#deleting)
    const [census, causes] = [this.#counter.save(), this.causes.save()]
    return () => {
      collections()
      census()
      causes()
    }
  }

  /** The store has been put back to what it was when `seen` was saved. Nobody is to be ended for that. */
  rewind(seen: Restore): void {
    this.#life++
    const before = new Map(this.pods)
    const deleting = new Set(this.#deleting)
    seen()
    for (const uid of this.#seen) if (!this.pods.has(uid) && !this.forgotten.has(uid)) this.forgotten.set(uid, before.get(uid))
    for (const [uid, pod] of this.pods) {
      const first = before.get(uid)?.spec.nodeName
      if (first !== undefined && pod.spec.nodeName === undefined)
        this.#unbound.set(uid, new Set([...(this.#unbound.get(uid) ?? []), first]))
      const wasForgotten = this.forgotten.delete(uid)
      // Its node may have been told, in the history that is no more, that it is gone.
      if (!wasForgotten && (!before.has(uid) || deleting.has(uid))) this.revived.add(uid)
    }
    this.#follow()
  }

  /** The store was put back from a copy, whose incarnation was this: the next leader gives it another. */
  hasRestored(incarnation: KeyValue | undefined): void {
    this.#restoredId = incarnationOf(incarnation)
  }

  /** Control planes hear late of what is new. */
  lagging(forMs: number): void {
    this.#laggingUntilMs = Math.max(this.#laggingUntilMs, this.#clock.monotonicMs() + forMs)
  }

  /** I9: whatever a control plane writes, it writes as the leader that it is. */
  committed({ process, transaction }: SeenCommit): void {
    this.commits++
    if (transaction.writes.some((write) => 'delete' in write)) this.onDelete?.()
    for (const write of transaction.writes) this.#seeDeletion(write, process.name === 'api')
    if (process.name === 'api') return
    const fence = transaction.conditions.find((condition) => 'createRevision' in condition && condition.key === leaderKey)
    const what = transaction.writes.map((write) => ('put' in write ? write.put : write.delete)).join(', ')
    if (fence === undefined) this.fail(`${process.name} wrote ${what} without a fence`)
    else void this.#checkFence(process.name, what, 'createRevision' in fence ? fence.createRevision : 0)
  }

  /** A deletion of a pod that is asked for now, by the user or with a cause. */
  #seeDeletion(write: Transaction['writes'][number], isUser: boolean): void {
    const key = 'put' in write ? write.put : write.delete
    if (!key.startsWith(podPrefix)) return
    if ('put' in write && !Buffer.from(write.value.buffer, write.value.byteOffset, write.value.byteLength).includes(deletionMark))
      return
    const uid = this.#podUids.get(key.slice(podPrefix.length)) ?? ''
    const pod = this.pods.get(uid)
    if (pod === undefined) return
    if ('delete' in write && !isUser && pod.metadata.finalizers?.includes(holdFinalizer) === true)
      this.fail(`pod ${placeOf(pod)} went, though it was held`)
    if (this.#deleting.has(uid)) return
    this.#deleting.add(uid)
    if (!isUser) this.causes.checkDeletion(pod)
  }

  get census(): Census {
    return this.#counter.census
  }

  async #checkFence(process: string, what: string, createRevision: number): Promise<void> {
    const { item } = await this.#store.get(leaderKey, { signal: new AbortController().signal })
    if (item?.createRevision !== createRevision)
      this.fail(`${process} wrote ${what} as leader ${createRevision}, but ${item?.createRevision ?? 'nobody'} led`)
  }

  starts(node: string, id: string): void {
    void this.#checkRunning(node, id)
  }

  /** I2, and no two sandboxes with one address. Looks at all engines each time that a container starts on any. */
  async #checkRunning(node: string, id: string): Promise<void> {
    const states = await Promise.all(
      this.#engines.map(async ({ name, engine }) => (await engine.states()).map((state) => ({ ...state, node: name }))),
    )
    const owners = new Map<string, string>()
    for (const state of states.flat().filter(({ status }) => status === 'running')) {
      const who = `${state.node} ${state.id.slice(0, 8)}`
      for (const key of unique(state)) {
        const other = owners.get(key)
        if (other !== undefined && !this.#isLiedTo() && !this.#isElsewhere(state.identity.podUid))
          this.fail(`${key} runs twice: ${other} and ${who}`)
        owners.set(key, who)
      }
    }
    const started = states.flat().find((state) => state.id === id && state.node === node)
    if (started !== undefined) this.#trace(`${node} started ${nameOf(started)}`)
  }

  /**
   * The store was put back to before the pod was bound, and it was bound anew: it runs twice until its first node says
   * so, and is told that it is not its any more. In the end it runs once.
   */
  #isElsewhere(uid: string): boolean {
    const node = this.pods.get(uid)?.spec.nodeName
    return [...(this.#unbound.get(uid) ?? [])].some((first) => node !== undefined && first !== node)
  }

  /** Whoever is not told of a container, and makes another, cannot know better. In the end one of them has to go. */
  #isLiedTo(): boolean {
    return this.#engines.some(({ engine }) => engine.isBelieved)
  }

  /** I6: nobody ends a container of a pod that is to run. */
  ends(node: string, container: ContainerState): void {
    this.#trace(`${node} ends ${nameOf(container)}`)
    const { podUid } = container.identity
    const pod = this.pods.get(podUid) ?? this.forgotten.get(podUid)
    if (this.revived.has(podUid)) return
    const isFirst = this.#unbound.get(podUid)?.has(node) === true && this.#isElsewhere(podUid)
    if (isFirst && pod?.spec.nodeName !== node) return
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || isFinished(pod)) return
    void this.#checkEnd(node, container, pod)
  }

  async #checkEnd(node: string, container: ContainerState, pod: Pod): Promise<void> {
    const engine = this.#engines.find(({ name }) => name === node)?.engine
    if (engine?.isBelieved === true || (engine?.mayRestart === true && container.identity.role === 'app')) return
    const states = (await engine?.states()) ?? []
    const own = states.filter(({ identity }) => identity.podUid === container.identity.podUid)
    const apps = own.filter(({ identity }) => identity.role !== 'sandbox')
    const home = container.identity.role === 'sandbox' ? container.id : engine?.sandboxOf(container.id)
    // A container lives in its sandbox's namespaces: when that is gone it has to be made anew.
    if (!own.some(({ id, status }) => id === home && status === 'running')) return
    // A sandbox that nothing runs in costs nobody anything.
    if (container.identity.role === 'sandbox' && !apps.some(({ status }) => status === 'running')) return
    const isOver = apps.length > 0 && apps.every(({ status }) => status === 'exited') && pod.spec.restartPolicy !== 'Always'
    if (isOver) return
    this.fail(`${node} ended ${nameOf(container)} of a pod that is to run`)
  }

  #see(event: StoreEvent): void {
    const place = parseObjectKey(event.type === 'put' ? event.current.key : event.key)
    if (place === undefined) return
    const now = event.type === 'put' ? sharedDecode(event.current) : undefined
    const old = event.previous === undefined ? undefined : sharedDecode(event.previous)
    this.#count(place, old, now)
    const isOwned = (now ?? old)?.metadata.ownerReferences !== undefined && place.plural === 'pods'
    this.#counter.see(place, { isNew: now !== undefined, isOld: old !== undefined, isOwned })
    if (event.type === 'put' && event.previous !== undefined && Buffer.compare(event.current.value, event.previous.value) === 0)
      this.fail(`${place.plural} ${place.name} was written without a change`)
    if (now !== undefined && old !== undefined && now.metadata.uid !== old.metadata.uid)
      this.fail(`${place.plural} ${place.name} was replaced by another object of its name`)
    if (place.plural === 'pods') this.#seePod(old as Pod | undefined, now as Pod | undefined)
    else if (place.plural === 'nodes') this.#seeNode(place.name, now as Node | undefined)
    this.causes.see(place.plural, old, now)
  }

  #count({ plural, name }: ObjectKey, old: ApiObject | undefined, now: ApiObject | undefined): void {
    const added = old === undefined ? 'ADDED' : 'MODIFIED'
    const what = now === undefined ? 'DELETED' : added
    this.counts.set(`${what} ${plural}`, (this.counts.get(`${what} ${plural}`) ?? 0) + 1)
    if (plural !== 'leases' && plural !== 'events')
      this.#trace(`${what} ${plural} ${name} ${now === undefined ? '' : summary(now)}`)
  }

  #seeNode(name: string, node: Node | undefined): void {
    if (node === undefined) this.#nodes.delete(name)
    else this.#nodes.set(name, node)
  }

  #seePod(old: Pod | undefined, now: Pod | undefined): void {
    const uid = (now ?? old)?.metadata.uid ?? ''
    const place = placeOf(now ?? old ?? { metadata: {} })
    if (now === undefined) {
      this.pods.delete(uid)
      this.#podUids.delete(place)
      if (old !== undefined && this.#life > 0) void this.#seeGone(old)
      return
    }
    this.pods.set(uid, now)
    this.#seen.add(uid)
    this.#podUids.set(place, uid)
    if (old !== undefined) this.#checkChange(old, now)
    if (now.spec.nodeName !== undefined && old?.spec.nodeName === undefined) this.#checkRoom(now.spec.nodeName)
  }

  /**
   * What goes before its node has heard all that the store still knew when it was put back cannot be told from what was
   * forgotten. Nobody can have heard of it before somebody led, and gave the store another incarnation; who has a session
   * then hears all within moments, unless its control plane itself waits for what is new.
   */
  async #seeGone(pod: Pod): Promise<void> {
    const { item } = await this.#store.get(incarnationKey, { signal: new AbortController().signal })
    const id = incarnationOf(item)
    const node = this.#engines.find(({ name }) => name === pod.spec.nodeName)
    const text = node?.disk.get('position')
    const position = text === undefined ? undefined : parsePosition(text)
    const nowMs = this.#clock.monotonicMs()
    const mayWait = nowMs < Math.max(node?.welcomedMs ?? nowMs, this.#laggingUntilMs) + setMs
    const hasHeard = position !== undefined && position.incarnation === id && (position.revision !== undefined || !mayWait)
    if (id !== undefined && (id === this.#restoredId || !hasHeard)) this.forgotten.set(pod.metadata.uid ?? '', undefined)
  }

  #checkChange(old: Pod, now: Pod): void {
    const name = now.metadata.name ?? ''
    if (old.spec.nodeName !== undefined && now.spec.nodeName !== old.spec.nodeName)
      this.fail(`pod ${name} was bound to ${old.spec.nodeName} and then to ${now.spec.nodeName}`)
    if (old.metadata.deletionTimestamp !== undefined && now.metadata.deletionTimestamp === undefined)
      this.fail(`the deletion of pod ${name} was taken back`)
    if (isReady(old) && !isReady(now)) void this.#checkReady(old, now)
    const before = old.status?.phase ?? 'Pending'
    const after = now.status?.phase ?? 'Pending'
    if (isFinished(old) && before !== after) this.fail(`pod ${name} went from ${before} to ${after}`)
    if (isFinished(old) && old.status?.podIP !== undefined && now.status?.podIP === undefined)
      this.fail(`pod ${name} has ended, and lost its address afterwards`)
    this.#checkRestarts(old, now)
  }

  #checkRestarts(old: Pod, now: Pod): void {
    const name = now.metadata.name ?? ''
    for (const { name: container, restartCount } of now.status?.containerStatuses ?? []) {
      const last = old.status?.containerStatuses?.find((one) => one.name === container)?.restartCount ?? 0
      if (restartCount < last) this.fail(`the restart count of pod ${name} went from ${last} to ${restartCount}`)
    }
  }

  /** Probes succeed here, so a pod is taken out of service only when its node is silent or something in it has ended. */
  async #checkReady(old: Pod, now: Pod): Promise<void> {
    if (now.metadata.deletionTimestamp !== undefined || isFinished(now)) return
    if (now.status?.conditions?.some(({ reason }) => reason === 'NodeNotReady')) return
    const engine = this.#engines.find(({ name }) => name === now.spec.nodeName)?.engine
    if (engine?.hasFailed === true) return
    const states = (await engine?.states()) ?? []
    const runs = (id: string | undefined): boolean => states.some((state) => state.id === id && state.status === 'running')
    const ids = (old.status?.containerStatuses ?? []).map(({ containerID = '' }) => containerID.slice('docker://'.length))
    if (ids.length > 0 && ids.every((id) => runs(id) && runs(engine?.sandboxOf(id))))
      this.fail(`pod ${now.metadata.name} was taken out of service, and all of it runs`)
  }

  /** No node is given more than it has. One that is gone is looked after elsewhere. */
  #checkRoom(node: string): void {
    if (!this.#nodes.has(node)) return
    const room = quantityMilli(this.#nodes.get(node)?.status?.allocatable?.['cpu'] ?? 0)
    const pods = [...this.pods.values()].filter((pod) => pod.spec.nodeName === node && !isFinished(pod))
    const wanted = pods.reduce((sum, pod) => sum + requested(pod), 0)
    if (wanted > room) this.fail(`${node} has ${room}m CPU, and pods that ask for ${wanted}m`)
  }
}

/** Its id, of the value that the store has for it. */
export function incarnationOf(item: KeyValue | undefined): string | undefined {
  const { id } = JSON.parse(Buffer.from(item?.value ?? '{}').toString('utf8')) as { readonly id?: string }
  return id
}

const requested = ({ spec }: Pod): number =>
  spec.containers.reduce((sum, { resources }) => sum + quantityMilli(resources?.requests?.['cpu'] ?? 0), 0)

/** What only one running container may have. */
function unique({ identity, annotations }: ContainerState): readonly string[] {
  const own = `container ${identity.podUid}/${identity.container}`
  return identity.role === 'sandbox' ? [own, `address ${annotations['ip']}`] : [own]
}

const nameOf = ({ identity, id }: ContainerState): string =>
  `${identity.podName}/${identity.container}/${identity.attempt} ${id.slice(0, 8)} (pod ${identity.podUid.slice(0, 8)})`

/** What a reader of a trace wants to know of a change. */
function summary({ metadata, ...object }: ApiObject): string {
  const { spec = {}, status = {} } = object as {
    readonly spec?: Record<string, unknown>
    readonly status?: Record<string, unknown>
  }
  const ready = (status['conditions'] as readonly { type: string; status: string }[] | undefined)?.find(
    ({ type }) => type === 'Ready',
  )
  const parts = {
    uid: metadata.uid?.slice(0, 8),
    node: spec['nodeName'],
    replicas: spec['replicas'],
    phase: status['phase'],
    ip: status['podIP'],
    ready: ready?.status,
    has: status['replicas'],
    readyReplicas: status['readyReplicas'],
    deleted: metadata.deletionTimestamp,
  }
  return Object.entries(parts)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(' ')
}
