import { type UnlistedPod, unlistedCondition, unlistedMessage } from '../../api/derive/unlisted-pods.ts'
import type { Node } from '../../api/kinds/node.ts'
import type { NodeCondition, NodeStatus } from '../../api/kinds/node-status.ts'
import { formatTime } from '../../lib/clock.ts'
import type { EngineInfo, ImageInfo } from '../runtime/runtime.ts'
import type { HostFacts } from './facts.ts'

export interface NodeInput {
  readonly facts: HostFacts
  readonly engine: EngineInfo | undefined
  /** Why the engine does not answer; undefined while it does. */
  readonly engineError: string | undefined
  /** Why pods cannot be connected; undefined while they can. */
  readonly networkError: string | undefined
  /** Which disk is nearly full; undefined while none is. */
  readonly diskError: string | undefined
  readonly images: readonly ImageInfo[]
  readonly unlistedPods: readonly UnlistedPod[]
  readonly agentVersion: string
  readonly maxPods: number
  /** Capabilities, without `CAP_`, that no container can have on this machine. */
  readonly missingCapabilities: readonly string[]
  /** More labels, for example of a zone. */
  readonly labels: Readonly<Record<string, string>>
  readonly nowMs: number
  /** The conditions told last: what has not changed keeps its time of change. */
  readonly before: readonly NodeCondition[]
}

/** Kubernetes names the first ones by this count, too. */
const maxImages = 50
/** Left to the machine, as the threshold below which Kubernetes evicts. */
const reservedMemoryBytes = 100 * 1024 * 1024

/** v1.Node as the agent tells it. */
export function nodeObject(input: NodeInput): Node {
  const { facts, labels } = input
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: facts.name,
      labels: {
        'kubernetes.io/hostname': facts.name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': facts.architecture,
        ...labels,
      },
    },
    spec: {},
    status: nodeStatus(input),
  }
}

export function nodeStatus(input: NodeInput): NodeStatus {
  const { facts, engine } = input
  const capacity = {
    cpu: cpuQuantity(facts.cpuMilli),
    memory: kibi(facts.memoryBytes),
    pods: String(input.maxPods),
    'ephemeral-storage': kibi(facts.storageBytes),
  }
  return {
    capacity,
    allocatable: { ...capacity, memory: kibi(Math.max(0, facts.memoryBytes - reservedMemoryBytes)) },
    addresses: [
      { type: 'InternalIP', address: facts.ip },
      { type: 'Hostname', address: facts.hostname },
    ],
    conditions: nodeConditions(input),
    nodeInfo: {
      machineID: facts.machineId,
      systemUUID: facts.systemUuid,
      bootID: facts.bootId,
      kernelVersion: facts.kernelVersion,
      osImage: facts.osImage,
      containerRuntimeVersion: engine === undefined ? '' : `${engine.name}://${engine.version}`,
      kubeletVersion: input.agentVersion,
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture: facts.architecture,
    },
    images: input.images
      .filter(({ tags, digests }) => tags.length + digests.length > 0)
      .toSorted((a, b) => b.sizeBytes - a.sizeBytes)
      .slice(0, maxImages)
      .map(({ tags, digests, sizeBytes }) => ({ names: [...digests, ...tags], sizeBytes })),
  }
}

type Fact = Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'>

export function nodeConditions(input: NodeInput): readonly NodeCondition[] {
  const now = formatTime(input.nowMs)
  return facts(input).map((fact) => {
    const before = input.before.find(({ type }) => type === fact.type)
    const isSame = before?.status === fact.status && before.lastTransitionTime !== undefined
    return { ...fact, lastHeartbeatTime: now, lastTransitionTime: isSame ? before.lastTransitionTime : now }
  })
}

function facts({ engineError, networkError, diskError, unlistedPods, missingCapabilities }: NodeInput): readonly Fact[] {
  const trouble = engineError ?? networkError
  const ready: Fact =
    trouble === undefined
      ? { type: 'Ready', status: 'True', reason: 'AgentReady', message: 'the agent and the engine work' }
      : {
          type: 'Ready',
          status: 'False',
          reason: engineError === undefined ? 'NetworkNotReady' : 'EngineNotReady',
          message: trouble,
        }
  const network: Fact =
    networkError === undefined
      ? { type: 'NetworkUnavailable', status: 'False', reason: 'NetworkReady', message: 'pods can be connected' }
      : { type: 'NetworkUnavailable', status: 'True', reason: 'NetworkNotReady', message: networkError }
  const disk: Fact =
    diskError === undefined
      ? { type: 'DiskPressure', status: 'False', reason: 'AgentHasNoDiskPressure', message: 'there is room on the disks' }
      : { type: 'DiskPressure', status: 'True', reason: 'AgentHasDiskPressure', message: diskError }
  const limited: readonly Fact[] =
    missingCapabilities.length === 0
      ? []
      : [
          {
            type: 'PrivilegesLimited',
            status: 'True',
            reason: 'MissingCapabilities',
            message: `no container can have ${missingCapabilities.map((name) => `CAP_${name}`).join(', ')} on this machine; privileged ones run without`,
          },
        ]
  const unlisted: Fact =
    unlistedPods.length === 0
      ? { type: unlistedCondition, status: 'False', reason: 'AllPodsListed', message: 'the API knows all pods that run here' }
      : { type: unlistedCondition, status: 'True', reason: 'UnknownToTheAPI', message: unlistedMessage(unlistedPods) }
  return [ready, network, disk, unlisted, ...limited]
}

function cpuQuantity(milli: number): string {
  return milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`
}

const kibi = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`
