import type { ContainerState } from '../../agent/runtime/runtime.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import { Deployment } from '../../api/kinds/deployment.ts'
import { EndpointSlice } from '../../api/kinds/endpoint-slice.ts'
import { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { ReplicaSet } from '../../api/kinds/replica-set.ts'
import { type ApiObject, controllerOf } from '../../api/meta/object-meta.ts'
import { decodeObject } from '../../controlplane/store/codec.ts'
import { kindPrefix } from '../../controlplane/store/keys.ts'
import type { MemoryStore } from '../../controlplane/store/memory.ts'
import type { SimNode } from './agent.ts'
import { crashingImage, missingImage } from './engine.ts'
import { isActive, isFinished, isReady } from './monitor.ts'
import type { App, Step } from './workload.ts'

/** What the user asked for in the end. */
export interface Wish {
  readonly apps: ReadonlyMap<string, App>
  /** Bare pods; the value says whether it ends by itself. */
  readonly pods: ReadonlyMap<string, { readonly isTask: boolean }>
}

export function wishOf(steps: readonly Step[]): Wish {
  const apps = new Map<string, App>()
  const pods = new Map<string, { isTask: boolean }>()
  const change = (name: string, part: Partial<App>): void => {
    const app = apps.get(name)
    if (app !== undefined) apps.set(name, { ...app, ...part })
  }
  for (const { act } of steps) {
    if (act.do === 'deploy') apps.set(act.name, act.app)
    else if (act.do === 'scale') change(act.name, { replicas: act.replicas })
    else if (act.do === 'roll') change(act.name, { image: act.image })
    else if (act.do === 'undeploy') apps.delete(act.name)
    else if (act.do === 'runPod') pods.set(act.name, { isTask: act.restartPolicy === 'Never' })
    else if (act.do === 'deletePod') pods.delete(act.name)
  }
  return { apps, pods }
}

interface Seen {
  readonly nodes: readonly Node[]
  readonly deployments: readonly Deployment[]
  readonly sets: readonly ReplicaSet[]
  readonly pods: readonly Pod[]
  readonly slices: readonly EndpointSlice[]
  readonly containers: readonly (ContainerState & { readonly node: string })[]
}

/** Everything there is, read past all processes. */
export async function look(store: MemoryStore, nodes: readonly SimNode[]): Promise<Seen> {
  const { signal } = new AbortController()
  const all = async <O extends ApiObject>(kind: KindDef<O>): Promise<readonly O[]> =>
    (await store.list({ prefix: kindPrefix(kind), signal })).items.map((item) => decodeObject(item) as O)
  const containers = await Promise.all(
    nodes.map(async ({ name, engine }) => (await engine.states()).map((state) => ({ ...state, node: name }))),
  )
  return {
    nodes: await all(Node),
    deployments: await all(Deployment),
    sets: await all(ReplicaSet),
    pods: await all(Pod),
    slices: await all(EndpointSlice),
    containers: containers.flat(),
  }
}

/** What the faults of a run excuse. */
export interface Allowed {
  /** Pods may have been taken off a silent node. */
  readonly hasEvicted: boolean
  /** Nodes that lost their memory: they leave alone what they were never told is gone. */
  readonly forgetful: ReadonlySet<string>
  /** Nodes whose engine hid containers: what has ended may have been overlooked. */
  readonly deceived: ReadonlySet<string>
}

/** What is not as the user wished it, or does not fit together. Empty: all is well. */
export function differences(seen: Seen, wish: Wish, allowed: Allowed): readonly string[] {
  const tooMany = seen.deployments.filter(({ metadata }) => !wish.apps.has(metadata.name ?? ''))
  return [
    ...tooMany.map(({ metadata }) => `deployment ${metadata.name} was deleted`),
    ...[...wish.apps].flatMap(([name, app]) => appDifferences(seen, name, app)),
    ...podDifferences(seen, wish, allowed),
    ...seen.nodes.flatMap(nodeDifferences),
    ...setDifferences(seen),
    ...containerDifferences(seen, allowed),
    ...endpointDifferences(seen),
  ]
}

function nodeDifferences({ metadata, spec, status }: Node): readonly string[] {
  const isHere = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true
  const taints = spec?.taints ?? []
  return isHere && taints.length === 0 ? [] : [`${metadata.name} is ${isHere ? '' : 'not '}ready, ${taints.length} taints`]
}

/** Pods that nobody makes anew. */
function podDifferences(seen: Seen, { pods }: Wish, { hasEvicted }: Allowed): readonly string[] {
  const bare = seen.pods.filter((pod) => controllerOf(pod) === undefined)
  const tooMany = bare.filter(({ metadata }) => !pods.has(metadata.name ?? ''))
  const missing = [...pods].flatMap(([name, { isTask }]) => {
    const pod = bare.find(({ metadata }) => metadata.name === name)
    if (pod === undefined) return hasEvicted ? [] : [`pod ${name} is missing`]
    const isWell = isTask ? isFinished(pod) : isReady(pod)
    return isWell ? [] : [`pod ${name} is ${pod.status?.phase}, ready: ${isReady(pod)}`]
  })
  return [...tooMany.map(({ metadata }) => `pod ${metadata.name} was deleted`), ...missing]
}

/** No pod of it ever becomes, or stays, ready. */
export const isBad = (image: string): boolean => image.startsWith(missingImage) || image.startsWith(crashingImage)

function appDifferences({ deployments, sets, pods }: Seen, name: string, app: App): readonly string[] {
  const deployment = deployments.find(({ metadata }) => metadata.name === name)
  if (deployment === undefined) return [`deployment ${name} is missing`]
  const own = sets.filter((set) => controllerOf(set)?.uid === deployment.metadata.uid)
  const ownPods = pods.filter((pod) => own.some((set) => set.metadata.uid === controllerOf(pod)?.uid) && isActive(pod))
  const { status } = deployment
  if (status?.observedGeneration !== deployment.metadata.generation) return [`deployment ${name} was not looked at`]
  if (isBad(app.image)) return badRollout(deployment, app, ownPods)
  const right = ownPods.filter((pod) => isReady(pod) && pod.spec.containers[0]?.image === app.image)
  if (right.length === app.replicas && ownPods.length === app.replicas && (status?.readyReplicas ?? 0) === app.replicas) return []
  return [`deployment ${name} has ${ownPods.length} pods, ${right.length} of them right, of ${app.replicas} (${app.image})`]
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

/** I5, and the other way round: what runs is wanted, what is wanted and said to run does run. Addresses are unique. */
function containerDifferences({ pods, containers }: Seen, { forgetful, deceived }: Allowed): readonly string[] {
  const wrong: string[] = []
  const byUid = new Map(pods.map((pod) => [pod.metadata.uid ?? '', pod]))
  for (const { node, identity, status } of containers) {
    const pod = byUid.get(identity.podUid)
    if (pod === undefined && status !== 'running' && deceived.has(node)) continue
    if (pod?.spec.nodeName !== node && !forgetful.has(node))
      wrong.push(`${node} has a container of ${identity.podName}, which is gone`)
  }
  const addresses = new Map<string, string>()
  for (const pod of pods.filter((one) => isActive(one) && isReady(one))) {
    const { name = '', uid } = pod.metadata
    const running = containers.filter(({ identity, status }) => identity.podUid === uid && status === 'running')
    if (running.length !== pod.spec.containers.length + 1)
      wrong.push(`pod ${name} is ready, but has ${running.length} containers`)
    const sandbox = running.find(({ identity }) => identity.role === 'sandbox')
    const ip = pod.status?.podIP ?? ''
    if (sandbox?.annotations['ip'] !== ip) wrong.push(`pod ${name} has the address ${sandbox?.annotations['ip']}, and says ${ip}`)
    if (addresses.has(ip)) wrong.push(`pods ${name} and ${addresses.get(ip)} have the same address ${ip}`)
    addresses.set(ip, name)
  }
  return wrong
}

function endpointDifferences({ pods, slices }: Seen): readonly string[] {
  const ready = pods
    .filter((pod) => isActive(pod) && isReady(pod) && pod.metadata.labels?.['tier'] === 'apps')
    .map((pod) => pod.status?.podIP ?? '')
  const served = slices
    .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === 'all')
    .flatMap(({ endpoints = [] }) =>
      endpoints.filter(({ conditions }) => conditions?.ready !== false).flatMap(({ addresses }) => addresses),
    )
  const [is, wanted] = [served.toSorted().join(' '), ready.toSorted().join(' ')]
  return is === wanted ? [] : [`the service leads to "${is}", ready are "${wanted}"`]
}
