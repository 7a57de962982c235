import { configMapKey, secretKey, usedConfigs } from '../../api/derive/used-configs.ts'
import type { ConfigMap } from '../../api/kinds/config-map.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import type { Secret } from '../../api/kinds/secret.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { Assignments } from '../../api/proto/agent.ts'

/** More removals than these that wait for their containers to go: the oldest become strangers. */
const maxRemoved = 10_000

export interface StoredPod {
  readonly pod: Pod
  readonly json: string
}

export interface StoredConfig {
  readonly object: ApiObject
  readonly json: string
}

/** Pods and configs by UID and key, and what an assignment means for them. In memory only; `DesiredStore` keeps it on disk. */
export class DesiredPods {
  readonly pods = new Map<string, StoredPod>()
  readonly configs = new Map<string, StoredConfig>()
  readonly removed = new Set<string>()
  readonly kept = new Set<string>()

  configMap(namespace: string, name: string): ConfigMap | undefined {
    return this.configs.get(configMapKey(namespace, name))?.object as ConfigMap | undefined // The key says its kind.
  }

  secret(namespace: string, name: string): Secret | undefined {
    return this.configs.get(secretKey(namespace, name))?.object as Secret | undefined // The key says its kind.
  }

  /**
   * Replaces everything by a complete set. With `mayRemove` a pod that the set leaves out is gone; without it (the
   * control plane was restored, or its revision cannot be compared) such a pod is kept, and so are its configs.
   */
  replace(set: Assignments, { mayRemove }: { mayRemove: boolean }): Changes {
    const changes = new Changes()
    const listed = new Set(set.pods.map(({ uid }) => uid))
    for (const uid of this.pods.keys()) {
      if (listed.has(uid)) continue
      if (mayRemove && !this.kept.has(uid)) this.#removePod(uid, changes)
      else this.kept.add(uid)
    }
    this.#putPods(set, changes)
    const listedConfigs = new Set(set.configs.map(({ key }) => key))
    this.#dropConfigs(
      [...this.configs.keys()].filter((key) => !listedConfigs.has(key)),
      changes,
    )
    this.#putConfigs(set, changes)
    return changes
  }

  /** Applies an increment, whose chain has been checked. */
  add(increment: Assignments): Changes {
    const changes = new Changes()
    for (const uid of increment.removedPods) {
      if (isUid(uid)) this.#removePod(uid, changes)
      else changes.problems.push(`removed pod "${uid}": not a UID`)
    }
    this.#putPods(increment, changes)
    this.#dropConfigs(increment.removedConfigs, changes)
    this.#putConfigs(increment, changes)
    return changes
  }

  #removePod(uid: string, changes: Changes): void {
    this.kept.delete(uid)
    this.removed.add(uid)
    if (this.removed.size > maxRemoved) for (const oldest of this.removed.keys().take(1)) this.removed.delete(oldest)
    this.pods.delete(uid)
    changes.pods.add(uid)
  }

  #putPods({ pods }: Assignments, changes: Changes): void {
    for (const { uid, podJson } of pods) {
      this.kept.delete(uid)
      if (this.pods.get(uid)?.json === podJson) continue
      try {
        this.pods.set(uid, { pod: parsePod(uid, podJson), json: podJson })
        this.removed.delete(uid)
        changes.pods.add(uid)
      } catch (err) {
        changes.problems.push(`pod ${uid}: ${String(err)}`)
      }
    }
  }

  #putConfigs({ configs }: Assignments, changes: Changes): void {
    for (const { key, objectJson } of configs) {
      if (this.configs.get(key)?.json === objectJson) continue
      try {
        this.configs.set(key, { object: parseObject(objectJson), json: objectJson })
        changes.configs.add(key)
      } catch (err) {
        changes.problems.push(`${key}: ${String(err)}`)
      }
    }
    this.#touchUsers(changes)
  }

  #dropConfigs(keys: readonly string[], changes: Changes): void {
    const stillUsed = new Set([...this.kept].flatMap((uid) => this.#usedBy(uid)))
    for (const key of keys) {
      if (!stillUsed.has(key) && this.configs.delete(key)) changes.configs.add(key)
    }
  }

  /** A pod whose ConfigMap or Secret changed has changed too. */
  #touchUsers(changes: Changes): void {
    if (changes.configs.size === 0) return
    for (const uid of this.pods.keys()) {
      if (this.#usedBy(uid).some((key) => changes.configs.has(key))) changes.pods.add(uid)
    }
  }

  #usedBy(uid: string): readonly string[] {
    const stored = this.pods.get(uid)
    return stored === undefined ? [] : usedConfigs(stored.pod)
  }
}

/** What an assignment touched. */
export class Changes {
  readonly pods = new Set<string>()
  readonly configs = new Set<string>()
  /** What could not be read; the rest was applied. */
  readonly problems: string[] = []
}

/** UIDs become file names. */
const isUid = (uid: string): boolean => /^[A-Za-z0-9-]{1,64}$/.test(uid)

export function parsePod(uid: string, json: string): Pod {
  const object = parseObject(json)
  if (!isUid(uid) || object.metadata.uid !== uid) throw new Error('the UID is not that of the object')
  const pod = object as Pod // Checked below as far as this file relies on it; the control plane has validated the rest.
  if (!Array.isArray(pod.spec?.containers)) throw new Error('spec.containers is missing')
  return pod
}

export function parseObject(json: string): ApiObject {
  const object: unknown = JSON.parse(json)
  if (typeof object !== 'object' || object === null) throw new Error('not an object')
  if (!('metadata' in object) || typeof object.metadata !== 'object' || object.metadata === null)
    throw new Error('metadata is missing')
  return object as ApiObject
}
