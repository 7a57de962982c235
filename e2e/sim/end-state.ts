import { isSpareUid } from '../../agent/runtime/runtime.ts'
import type { Deployment } from '../../api/kinds/deployment.ts'
import type { Node } from '../../api/kinds/node.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import { type ApiObject, controllerOf, keyOf } from '../../api/meta/object-meta.ts'
import { maxSpareSandboxes } from './agent.ts'
import { configDifferences, serviceDifferences } from './end-details.ts'
import type { Seen } from './look.ts'
import { isActive, isFinished, isReady } from './pods.ts'
import { isBad, type Wish } from './wish.ts'
import type { App } from './workload.ts'

/** What the faults of a run excuse. */
export interface Allowed {
  /** Pods may have been taken off a silent node. */
  readonly hasEvicted: boolean
  /** Nodes that lost their memory: they leave alone what they were never told is gone. */
  readonly forgetful: ReadonlySet<string>
  /** Nodes whose engine hid containers from the agent: a sandbox may have been made twice, and stays with its pod. */
  readonly deceived: ReadonlySet<string>
  /** UIDs of pods that a restored store does not know: they stay until somebody removes them by hand. */
  readonly forgotten: { has(uid: string): boolean }
  /** UIDs of pods whose deletion the restore has undone: their nodes may have ended them before, which is for good. */
  readonly revived: { has(uid: string): boolean }
}

/** What is not as the user wished it, or does not fit together. Empty: all is well. */
export function differences(seen: Seen, wish: Wish, allowed: Allowed): readonly string[] {
  return [
    ...tooMany(seen.deployments, wish.apps, 'deployment'),
    ...tooMany(
      seen.services.filter(({ metadata }) => metadata.name !== 'kubernetes'),
      wish.services,
      'service',
    ),
    ...[...wish.apps].flatMap(([key, app]) => appDifferences(seen, key, { app, wish })),
    ...podDifferences(seen, wish, allowed),
    ...seen.nodes.flatMap((node) => nodeDifferences(node, wish)),
    ...setDifferences(seen),
    ...orphanDifferences(seen, wish),
    ...containerDifferences(seen, allowed),
    ...namespaceDifferences(seen, wish),
    ...serviceDifferences(seen, wish),
    ...configDifferences(seen, wish),
  ]
}

const tooMany = (objects: readonly ApiObject[], wanted: { has(key: string): boolean }, what: string): readonly string[] =>
  objects.filter((object) => !wanted.has(keyOf(object))).map((object) => `${what} ${keyOf(object)} was deleted`)

function nodeDifferences({ metadata: { name = '' }, spec, status }: Node, { cordoned }: Wish): readonly string[] {
  const isHere = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true
  const isCordoned = spec?.unschedulable === true
  const taints = (spec?.taints ?? []).filter(({ key }) => key !== 'node.kubernetes.io/unschedulable')
  return [
    ...(isHere && taints.length === 0 ? [] : [`${name} is ${isHere ? '' : 'not '}ready, ${taints.length} taints`]),
    ...(isCordoned === cordoned.has(name) ? [] : [`${name} is ${isCordoned ? '' : 'not '}cordoned`]),
  ]
}

/** Pods that nobody makes anew. */
function podDifferences(
  seen: Seen,
  { pods, hasDeletedNode, orphans }: Wish,
  { hasEvicted, revived }: Allowed,
): readonly string[] {
  const bare = seen.pods.filter((pod) => controllerOf(pod) === undefined && pod.metadata.labels?.['bare'] !== undefined)
  const strays = seen.pods.filter((pod) => controllerOf(pod) === undefined && pod.metadata.labels?.['bare'] === undefined)
  const missing = [...pods].flatMap(([key, { isTask }]) => {
    const pod = bare.find((one) => keyOf(one) === key)
    if (pod === undefined) return hasEvicted || hasDeletedNode ? [] : [`pod ${key} is missing`]
    const wasEnded = isFinished(pod) && revived.has(pod.metadata.uid ?? '')
    const isWell = isTask || wasEnded ? isFinished(pod) : isReady(pod)
    return isWell ? [] : [`pod ${key} is ${pod.status?.phase}, ready: ${isReady(pod)}`]
  })
  const lost = strays.filter((pod) => !orphans.has(`${pod.metadata.namespace}/${pod.metadata.labels?.['app']}`))
  return [...tooMany(bare, pods, 'pod'), ...lost.map((pod) => `pod ${keyOf(pod)} has lost its owner`), ...missing]
}

interface WishedApp {
  readonly app: App
  readonly wish: Wish
}

function appDifferences({ deployments, sets, pods }: Seen, key: string, { app, wish }: WishedApp): readonly string[] {
  const deployment = deployments.find((one) => keyOf(one) === key)
  if (deployment === undefined) return [`deployment ${key} is missing`]
  const own = sets.filter((set) => controllerOf(set)?.uid === deployment.metadata.uid)
  const ownPods = pods.filter((pod) => own.some((set) => set.metadata.uid === controllerOf(pod)?.uid) && isActive(pod))
  const { status } = deployment
  if (status?.observedGeneration !== deployment.metadata.generation) return [`deployment ${key} was not looked at`]
  if (isBad(key, app, wish)) return badRollout(deployment, app, ownPods)
  const right = ownPods.filter((pod) => isReady(pod) && pod.spec.containers[0]?.image === app.image)
  if (right.length === app.replicas && ownPods.length === app.replicas && (status?.readyReplicas ?? 0) === app.replicas) return []
  return [`deployment ${key} has ${ownPods.length} pods, ${right.length} of them right, of ${app.replicas} (${app.image})`]
}

/** Never more is missing than the strategy allows, and never too many are there. */
function badRollout({ metadata: { name }, status }: Deployment, app: App, pods: readonly Pod[]): readonly string[] {
  const mostTooMany = app.strategy === 'Recreate' ? 0 : Math.ceil(app.replicas / 4)
  if (pods.length > app.replicas + mostTooMany) return [`deployment ${name} has ${pods.length} pods of ${app.replicas}`]
  const total = status?.replicas ?? 0
  return total === pods.length ? [] : [`deployment ${name} counts ${total} pods, there are ${pods.length}`]
}

function setDifferences({ sets, pods, deployments }: Seen): readonly string[] {
  const wrong: string[] = []
  for (const set of sets) {
    const owner = controllerOf(set)
    if (owner !== undefined && !deployments.some(({ metadata }) => metadata.uid === owner.uid))
      wrong.push(`ReplicaSet ${set.metadata.name} has outlived its owner`)
    const own = pods.filter((pod) => controllerOf(pod)?.uid === set.metadata.uid && isActive(pod))
    const { replicas = 1 } = set.spec
    if (own.length !== replicas) wrong.push(`ReplicaSet ${set.metadata.name} has ${own.length} pods of ${replicas}`)
  }
  for (const pod of pods) {
    const owner = controllerOf(pod)
    if (owner !== undefined && !sets.some(({ metadata }) => metadata.uid === owner.uid))
      wrong.push(`pod ${pod.metadata.name} has outlived its owner`)
    if (pod.metadata.deletionTimestamp !== undefined) wrong.push(`pod ${pod.metadata.name} is still being deleted`)
  }
  return wrong
}

/** What was owned by a deployment that was deleted alone goes on, and belongs to the next of that name. */
function orphanDifferences({ sets, pods }: Seen, wish: Wish): readonly string[] {
  const free = sets.filter((set) => controllerOf(set) === undefined)
  return free.flatMap((set) => {
    const key = `${set.metadata.namespace}/${set.metadata.labels?.['app']}`
    const app = wish.orphans.get(key)
    if (app === undefined) return [`ReplicaSet ${set.metadata.name} has lost its owner`]
    const own = pods.filter((pod) => controllerOf(pod)?.uid === set.metadata.uid && isActive(pod) && !isReady(pod))
    const imageOf = (pod: Pod): string => pod.spec.containers[0]?.image ?? ''
    const late = own.filter((pod) => !isBad(key, { ...app, image: imageOf(pod) }, wish))
    return late.map((pod) => `pod ${pod.metadata.name}, left behind by its deployment, is not ready`)
  })
}

function namespaceDifferences({ namespaces, placed }: Seen, wish: Wish): readonly string[] {
  const left = placed.filter(({ namespace }) => !wish.namespaces.has(namespace)).slice(0, 3)
  return [
    ...[...namespaces].filter((name) => !wish.namespaces.has(name)).map((name) => `namespace ${name} was deleted`),
    ...[...wish.namespaces].filter((name) => !namespaces.has(name)).map((name) => `namespace ${name} is missing`),
    ...left.map(({ what }) => `${what} has outlived its namespace`),
  ]
}

/** I5, and the other way round: what runs is wanted, what is wanted and said to run does run. Addresses are unique. */
function containerDifferences({ pods, containers }: Seen, { forgetful, deceived, forgotten }: Allowed): readonly string[] {
  const wrong: string[] = []
  const byUid = new Map(pods.map((pod) => [pod.metadata.uid ?? '', pod]))
  for (const { node, identity } of containers.filter((one) => !isSpareUid(one.identity.podUid))) {
    const pod = byUid.get(identity.podUid)
    if (pod?.spec.nodeName !== node && !forgetful.has(node) && !forgotten.has(identity.podUid))
      wrong.push(`${node} has a container of ${identity.podName}, which is gone`)
  }
  return [...wrong, ...spareDifferences(containers), ...readyDifferences(pods, containers, deceived)]
}

function readyDifferences(
  pods: readonly Pod[],
  containers: Seen['containers'],
  deceived: ReadonlySet<string>,
): readonly string[] {
  const wrong: string[] = []
  const addresses = new Map<string, string>()
  for (const pod of pods.filter((one) => isActive(one) && isReady(one))) {
    const { name = '', uid } = pod.metadata
    const running = containers.filter(({ identity, status }) => identity.podUid === uid && status === 'running')
    const sandboxes = running.filter(({ identity }) => identity.role === 'sandbox')
    const apps = running.length - sandboxes.length
    const isOne = sandboxes.length === 1 || (sandboxes.length > 1 && deceived.has(pod.spec.nodeName ?? ''))
    if (!isOne || apps !== pod.spec.containers.length)
      wrong.push(`pod ${name} is ready, but has ${sandboxes.length} sandboxes and ${apps} containers`)
    const ip = pod.status?.podIP ?? ''
    if (!sandboxes.some(({ annotations }) => annotations['ip'] === ip)) wrong.push(`pod ${name} has not the address ${ip}`)
    if (addresses.has(ip)) wrong.push(`pods ${name} and ${addresses.get(ip)} have the same address ${ip}`)
    addresses.set(ip, name)
  }
  return wrong
}

/** What was prepared ahead is ready, and not more than it was to be. */
function spareDifferences(containers: Seen['containers']): readonly string[] {
  const spares = containers.filter(({ identity }) => isSpareUid(identity.podUid))
  const byNode = Map.groupBy(spares, ({ node }) => node)
  return [...byNode].flatMap(([node, own]) => [
    ...(own.length > maxSpareSandboxes ? [`${node} has ${own.length} spare sandboxes`] : []),
    ...own.filter(({ status }) => status !== 'running').map(({ id }) => `${node} has a dead spare sandbox ${id.slice(0, 8)}`),
  ])
}
