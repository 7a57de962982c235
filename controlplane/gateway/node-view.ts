import { usedConfigs } from '../../api/derive/used-configs.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { Assignments } from '../../api/proto/agent.ts'

/** What a node has to run by now. */
export interface Wanted {
  readonly pods: readonly Pod[]
  /** By `configmap/<namespace>/<name>` or `secret/…`. */
  config(key: string): ApiObject | undefined
  readonly revision: number
  /** UIDs of pods that somebody has said are to go from the node, though the API may never have heard of them. */
  readonly dismissed: ReadonlySet<string>
}

/** What a node has been told: what counts as a change of each pod, and the version of each config. */
interface Told {
  readonly resultsIn: string
  readonly pods: ReadonlyMap<string, string>
  readonly configs: ReadonlyMap<string, string>
  readonly dismissed: ReadonlySet<string>
}

/**
 * What one node knows. At most one set is under way: the next one waits for its acknowledgement and then says
 * everything that has changed since, so a slow node gets fewer and newer sets, and never a backlog. Outlives the
 * session, so that a new one can go on where the old one broke.
 */
export class NodeView {
  readonly #prefix: string
  #count = 0
  #told: Told | undefined
  #underWay: Told | undefined
  /** UIDs of pods that it has, and that are another node's: it is still to be told. */
  readonly #withdrawn = new Set<string>()

  /** `prefix` tells this process's results from those of others. */
  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** Begins a session of an agent whose last result is this one; anything but our last ones starts with a complete set. */
  resume(resultsIn: string): void {
    const known = [this.#told, this.#underWay].find((told) => told !== undefined && told.resultsIn === resultsIn)
    this.#told = known
    this.#underWay = undefined
  }

  applied(resultsIn: string): void {
    if (this.#underWay?.resultsIn !== resultsIn) return
    this.#told = this.#underWay
    this.#underWay = undefined
  }

  /**
   * It said that it has a pod that is another node's, as when the store was put back to before the pod was bound. It may
   * keep what the store has forgotten, and not this one: the pod would run twice.
   */
  withdraw(uid: string): void {
    this.#withdrawn.add(uid)
  }

  get isWaiting(): boolean {
    return this.#underWay !== undefined
  }

  /** The next set to send; undefined when there is nothing new or one is under way. */
  next(wanted: Wanted): Assignments | undefined {
    if (this.#underWay !== undefined) return undefined
    const pods = new Map(wanted.pods.map((pod) => [pod.metadata.uid ?? '', pod]))
    const configs = usedObjects(wanted)
    const told = this.#told
    const changedPods = [...pods].filter(([uid, pod]) => told?.pods.get(uid) !== essence(pod))
    const changedConfigs = [...configs].filter(([key, object]) => told?.configs.get(key) !== versionOf(object))
    // A complete set names what there is; what is to go comes with the next one.
    const dismissed = told === undefined ? [] : [...wanted.dismissed].filter((uid) => !told.dismissed.has(uid))
    const left = told === undefined ? [] : [...told.pods.keys(), ...this.#withdrawn]
    if (told !== undefined) this.#withdrawn.clear()
    const removedPods = [...new Set([...left, ...dismissed])].filter((uid) => !pods.has(uid))
    const removedConfigs = told === undefined ? [] : [...told.configs.keys()].filter((key) => !configs.has(key))
    const changes = changedPods.length + changedConfigs.length + removedPods.length + removedConfigs.length
    if (told !== undefined && changes === 0) return undefined
    this.#underWay = {
      resultsIn: `${this.#prefix}.${++this.#count}`,
      pods: new Map([...pods].map(([uid, pod]) => [uid, essence(pod)])),
      configs: new Map([...configs].map(([key, object]) => [key, versionOf(object)])),
      // A complete set names no removals: these follow it.
      dismissed: new Set(told === undefined ? [] : [...wanted.dismissed].filter((uid) => !pods.has(uid))),
    }
    return Assignments.create({
      complete: told === undefined,
      appliesTo: told?.resultsIn ?? '',
      resultsIn: this.#underWay.resultsIn,
      pods: changedPods.map(([uid, pod]) => ({ uid, podJson: JSON.stringify(pod) })),
      removedPods,
      configs: changedConfigs.map(([key, object]) => ({ key, objectJson: JSON.stringify(object) })),
      removedConfigs,
      revision: BigInt(wanted.revision),
    })
  }
}

function usedObjects(wanted: Wanted): ReadonlyMap<string, ApiObject> {
  const used = new Map<string, ApiObject>()
  for (const pod of wanted.pods) {
    for (const key of usedConfigs(pod)) {
      const object = used.get(key) ?? wanted.config(key)
      if (object !== undefined) used.set(key, object)
    }
  }
  return used
}

const versionOf = ({ metadata }: ApiObject): string => `${metadata.uid}/${metadata.resourceVersion}`

const essences = new WeakMap<Pod, string>()

/** What makes an agent act anew. A pod's status is the agent's own word and would only come back to it. */
function essence(pod: Pod): string {
  const known = essences.get(pod)
  if (known !== undefined) return known
  const { resourceVersion: _version, managedFields: _fields, ...metadata } = pod.metadata
  const text = JSON.stringify([metadata, pod.spec])
  essences.set(pod, text)
  return text
}
