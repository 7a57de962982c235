import { incarnationKey } from '../../controlplane/store/incarnation.ts'
import type { MemorySnapshot } from '../../controlplane/store/memory.ts'
import type { SimNode } from './agent.ts'
import { incarnationOf } from './monitor.ts'
import type { Restore } from './saved.ts'
import { leaderKey } from './store.ts'
import type { Act, OperatorAct } from './workload.ts'
import { leaseMs, type SimWorld } from './world.ts'

interface Backup {
  readonly data: MemorySnapshot
  /** Revision less index of the log that it was taken of. */
  readonly gap: number
  readonly seen: Restore
}

/** What is counted of it. */
export const storeFaults = ['storeRestored', 'storeWiped'] as const

const empty: MemorySnapshot = { items: [], revision: 1 }
/** An agent writes its position down before it has heard of any. */
const knowsCluster = /"clusterUid":"[^"]/
const newDataMs = 2000
const waitMs = 1000

/** Does to the store what people do to etcd: keeps a copy, puts it back, loses all and finds it again. */
export class Operator {
  readonly #world: SimWorld
  readonly #blank: Restore
  #backup: Backup | undefined

  /** Made before anything is in the store. */
  constructor(world: SimWorld) {
    this.#world = world
    this.#blank = world.monitor.save()
  }

  async operate(act: OperatorAct): Promise<void> {
    if (act.do === 'backUp') this.#backup = await this.#at(0, () => this.#copy())
    else if (act.do === 'restore') await this.#restore(act.downMs, act.areStopped)
    else await this.#wipe(act.forMs)
  }

  #copy(): Backup {
    const { store, storeState, monitor } = this.#world
    return { data: store.snapshot(), gap: storeState.gap, seen: monitor.save() }
  }

  async #restore(downMs: number, areStopped: boolean): Promise<void> {
    const backup = this.#backup
    if (backup === undefined) return
    const { monitor, planes } = this.#world
    await this.#at(0, () => {
      this.#away()
      if (!areStopped) return
      for (const { name, process } of planes) {
        this.#world.restartIn(name, downMs + waitMs)
        process.kill()
      }
    })
    await this.#at(downMs, () => {
      // A restored snapshot has its revision, and a log that begins anew.
      this.#put(backup.data, backup.data.revision)
      monitor.rewind(backup.seen)
      monitor.hasRestored(backup.data.items.find(({ key }) => key === incarnationKey))
      monitor.causes.troubled(downMs)
      this.#world.happened(storeFaults[0])
    })
  }

  /** Only nodes that know which cluster they belong to: another one would be theirs for good. */
  async #wipe(forMs: number): Promise<void> {
    const { monitor, agents } = this.#world
    while (!agents.every(({ node }) => knowsCluster.test(node.disk.get('position') ?? ''))) await this.#at(waitMs)
    const backup = await this.#at(0, () => {
      this.#away()
      this.#world.isWiped = true
      return this.#copy()
    })
    await this.#at(newDataMs, () => {
      this.#put(empty, 0)
      monitor.rewind(this.#blank)
      monitor.causes.troubled(forMs)
      this.#world.happened(storeFaults[1])
    })
    await this.#at(forMs, () => {
      this.#seeObeyed()
      this.#away()
    })
    await this.#at(newDataMs, () => {
      this.#put(backup.data, backup.gap)
      monitor.rewind(backup.seen)
      monitor.causes.troubled(forMs)
      this.#world.isWiped = false
    })
  }

  /** An empty store is another cluster: nodes that know theirs have nothing to do with it. */
  #seeObeyed(): void {
    const { store, nodes, monitor } = this.#world
    const id = incarnationOf(store.snapshot().items.find(({ key }) => key === incarnationKey))
    const obeys = ({ disk }: SimNode): boolean => id !== undefined && disk.get('position')?.includes(`"${id}"`) === true
    for (const node of nodes.filter(obeys)) monitor.fail(`${node.name} obeyed the control plane of an empty store`)
  }

  #away(): void {
    this.#world.storeState.isDown = true
    this.#world.store.disconnect()
  }

  #put(data: MemorySnapshot, gap: number): void {
    const { store, storeState, planes, clock, random } = this.#world
    store.restore(data)
    storeState.gap = gap
    storeState.restores++
    storeState.isDown = false
    const leads = data.items.find(({ key }) => key === leaderKey)
    for (const plane of planes) plane.store.setBack(leads, 2000 * random.next())
    // Whoever led then has to be heard of within the time of its lease.
    clock.after(leaseMs * random.next(), () => {
      if (leads === undefined || planes.some((plane) => plane.store.epoch === leads.createRevision)) return
      const { createRevision } = leads
      const conditions = [
        { key: leaderKey, createRevision },
        { key: leaderKey, modRevision: createRevision },
      ]
      void store.commit({ conditions, writes: [{ delete: leaderKey }] }, { signal: new AbortController().signal })
    })
  }

  /** Does it after `ms`, at a moment when everybody has seen all that there is. */
  #at<T = void>(ms: number, run: () => T = () => undefined as T): Promise<T> {
    return new Promise((resolve) => {
      this.#world.clock.after(ms, () => resolve(run()))
    })
  }
}

export const isOperators = (act: Act): act is OperatorAct => act.do === 'backUp' || act.do === 'restore' || act.do === 'wipe'
