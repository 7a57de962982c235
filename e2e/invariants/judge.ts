// What must hold of a cluster, judged from what Docker and etcd say. Pure.

/** A container of Skiff's, as Docker lists it. Whose it is stands in its name, which can be taken only once. */
export interface SeenContainer {
  readonly id: string
  readonly podUid: string
  /** `namespace/name`. */
  readonly pod: string
  /** Name in the pod's spec; `POD` for the sandbox. */
  readonly container: string
  readonly state: string
  /** The pod's address; of a sandbox only. */
  readonly ip: string | undefined
  /** In full looks only. */
  readonly startedAt?: string
}

/** A pod, as etcd has it. */
export interface SeenPod {
  readonly uid: string
  /** `namespace/name`. */
  readonly key: string
  readonly owner: string | undefined
  readonly isDeleted: boolean
  readonly hasEnded: boolean
  readonly isReady: boolean
  /** Names of its containers, without those that end before the others begin. */
  readonly containers: readonly string[]
}

/** A ReplicaSet. */
interface SeenSet {
  readonly uid: string
  readonly key: string
  readonly replicas: number
}

/** What was seen at one time; undefined is what did not answer. */
export interface Look {
  /** Of the machine's monotonic clock, so that processes agree. */
  readonly atMs: number
  readonly containers: readonly SeenContainer[] | undefined
  readonly pods: readonly SeenPod[] | undefined
  readonly sets: readonly SeenSet[] | undefined
  /** Names of nodes that are not ready. */
  readonly sickNodes: readonly string[] | undefined
}

export const isAlive = ({ state }: SeenContainer): boolean => ['running', 'paused', 'restarting'].includes(state)
const named = ({ pod, container, podUid }: SeenContainer): string => `${pod}/${container} of ${podUid}`

/** Two running containers of one pod and name, and two pods with one address. */
export function duplicates({ containers = [] }: Look): readonly string[] {
  const alive = containers.filter(isAlive)
  const names = alive.map(named)
  const ips = alive.map(({ ip }) => ip).filter((ip) => ip !== undefined)
  return [
    ...new Set(names.filter((name, index) => names.indexOf(name) !== index)),
    ...new Set(ips.filter((ip, index) => ips.indexOf(ip) !== index).map((ip) => `the address ${ip}`)),
  ]
}

/**
 * What is wanted and is not there: containers of pods that are to run, pods of ReplicaSets, and pods that nobody
 * makes again. `before` is what was wanted before the fault.
 */
export function lost(look: Look, before: Look, mayGo: (pod: SeenPod) => boolean): readonly string[] {
  const { containers = [], pods = [], sets = [] } = look
  const running = new Set(containers.filter(({ state }) => state === 'running').map(named))
  const live = pods.filter(({ isDeleted, hasEnded }) => !isDeleted && !hasEnded)
  const missing = live.flatMap((pod) =>
    ['POD', ...pod.containers].map((name) => `${pod.key}/${name} of ${pod.uid}`).filter((name) => !running.has(name)),
  )
  const few = sets.flatMap(({ uid, key, replicas }) => {
    const count = replicas - live.filter(({ owner }) => owner === uid).length
    return Array.from({ length: Math.max(0, count) }, () => `a pod of ${key}`)
  })
  const known = new Set(pods.map(({ uid }) => uid))
  const gone = (before.pods ?? []).filter((pod) => pod.owner === undefined && !known.has(pod.uid) && !mayGo(pod))
  return [...missing, ...few, ...gone.map(({ key }) => `the pod ${key}`)]
}

/** Containers of no pod. Before everything has settled there may be some. */
export function orphans({ containers = [], pods = [] }: Look): readonly string[] {
  const known = new Set(pods.map(({ uid }) => uid))
  return containers.filter(({ podUid }) => !known.has(podUid)).map(named)
}

/** Containers that ran before and do not run any more, or were started again. Both looks are full ones. */
export function restarted(before: Look, after: Look, mayRestart: (container: SeenContainer) => boolean): readonly string[] {
  const now = new Map(after.containers?.map((container) => [container.id, container]))
  return (before.containers ?? [])
    .filter((container) => container.state === 'running' && !mayRestart(container))
    .filter(({ id, startedAt }) => {
      const same = now.get(id)
      return same === undefined || !isAlive(same) || same.startedAt !== startedAt
    })
    .map(named)
}

/** What keeps the cluster from having recovered. */
export function unsettled(look: Look, before: Look, mayGo: (pod: SeenPod) => boolean): readonly string[] {
  const silent = (['containers', 'pods', 'sets', 'sickNodes'] as const).filter((part) => look[part] === undefined)
  const unready = (look.pods ?? []).filter(({ isReady, isDeleted, hasEnded }) => !isReady && !isDeleted && !hasEnded)
  return [
    ...silent.map((part) => `${part} cannot be read`),
    ...lost(look, before, mayGo).map((text) => `lost: ${text}`),
    ...orphans(look).map((text) => `orphan: ${text}`),
    ...duplicates(look).map((text) => `twice: ${text}`),
    ...unready.map(({ key }) => `not ready: ${key}`),
    ...(look.pods ?? []).filter(({ isDeleted }) => isDeleted).map(({ key }) => `not gone yet: ${key}`),
    ...(look.sickNodes ?? []).map((node) => `node not ready: ${node}`),
  ]
}
