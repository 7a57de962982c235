import { isCIDR, wrongLabelValue, wrongQualifiedName } from '../meta/names.ts'
import type { ApiObject, DeepReadonly } from '../meta/object-meta.ts'
import { duplicate, invalid } from '../meta/status.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { type NodeStatus, nodeStatusSchema } from './node-status.ts'
import { checkQuantity } from './pod-spec/check-resources.ts'
import { checkMeta, checkName, checkText, checkUnchanged, type Wrong, withStatus } from './rules.ts'
import { anyObject, atomicList, bool, message, oneOf, opt, req, type Static, setList, str, time } from './schema.ts'
import type { ResourceList } from './shared.ts'

const core = 'io.k8s.api.core.v1'

const taintSchema = message(`${core}.Taint`, 'Keeps pods off a node that do not tolerate it.', {
  key: req(str(), 'Key of the taint.', { tag: 1 }),
  value: opt(str(), 'Value of the taint.', { tag: 2 }),
  effect: req(oneOf('NoSchedule', 'PreferNoSchedule', 'NoExecute'), 'What happens to pods that do not tolerate it.', { tag: 3 }),
  timeAdded: opt(time(), 'When a NoExecute taint was added.', { tag: 4 }),
})
export type Taint = DeepReadonly<Static<typeof taintSchema>>

export const nodeSpecSchema = message(`${core}.NodeSpec`, 'What a node is to be.', {
  podCIDR: opt(str(), 'Address range of the node’s pods.', { tag: 1 }),
  podCIDRs: opt(setList(str()), 'Address ranges of the node’s pods; the first is podCIDR.', { tag: 7 }),
  providerID: opt(str(), 'Id of the machine at its provider.', { tag: 3 }),
  unschedulable: opt(bool(), 'Keeps new pods off (cordon).', { tag: 4 }),
  taints: opt(atomicList(taintSchema), 'Keep pods off that do not tolerate them.', { tag: 5 }),
  configSource: opt(anyObject(), 'No longer used.', { tag: 6, skiff: 'ignored' }),
  externalID: opt(str(), 'No longer used.', { tag: 2, skiff: 'ignored' }),
})
export type NodeSpec = DeepReadonly<Static<typeof nodeSpecSchema>>

export const Node = defineKind({
  group: '',
  version: 'v1',
  kind: 'Node',
  plural: 'nodes',
  shortNames: ['no'],
  scope: 'Cluster',
  subresources: ['status'],
  doc: 'A machine that runs pods.',
  schemaName: `${core}.Node`,
  body: {
    spec: opt(nodeSpecSchema, 'What the node is to be.', { tag: 2, default: {} }),
    status: opt(nodeStatusSchema, 'What is known about the node.', { tag: 3 }),
  },
})({
  columns: [
    nameColumn,
    { name: 'Status', doc: 'Whether it can run pods.', cell: nodeStatusText },
    { name: 'Roles', doc: 'From labels node-role.kubernetes.io/….', cell: rolesText },
    ageColumn,
    { name: 'Version', doc: 'Version of the node agent.', cell: (node) => node.status?.nodeInfo?.kubeletVersion ?? '' },
    { name: 'Internal-IP', wide: true, cell: (node) => addressOf(node, 'InternalIP') },
    { name: 'External-IP', wide: true, cell: (node) => addressOf(node, 'ExternalIP') },
    { name: 'OS-Image', wide: true, cell: (node) => orUnknown(node.status?.nodeInfo?.osImage) },
    { name: 'Kernel-Version', wide: true, cell: (node) => orUnknown(node.status?.nodeInfo?.kernelVersion) },
    { name: 'Container-Runtime', wide: true, cell: (node) => orUnknown(node.status?.nodeInfo?.containerRuntimeVersion) },
  ],
  strategy: {
    hasGeneration: false,
    default: (node) => (node.spec === undefined ? node : { ...node, spec: { ...node.spec, ...samePodRange(node.spec) } }),
    prepareForUpdate: (node, old) => withStatus(node, old.status),
    validate: (node) => [...checkMeta(node), ...checkNodeSpec('spec', node.spec ?? {})],
    validateUpdate: (node, old) => [...checkNodeUpdate(node.spec ?? {}, old.spec ?? {})],
    validateStatusUpdate: (node) => [
      ...checkResourceList('status.capacity', node.status?.capacity ?? {}),
      ...checkResourceList('status.allocatable', node.status?.allocatable ?? {}),
    ],
    selectableFields: { 'spec.unschedulable': (node) => String(node.spec?.unschedulable ?? false) },
  },
})
export type Node = ObjectOf<typeof Node>

/** The part of a node that the columns read; Node itself is made of them. */
interface NodeLike extends ApiObject {
  readonly spec?: NodeSpec
  readonly status?: NodeStatus
}

function nodeStatusText({ spec, status }: NodeLike): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status
  const words = [ready === undefined ? 'Unknown' : ready === 'True' ? 'Ready' : 'NotReady']
  if (spec?.unschedulable === true) words.push('SchedulingDisabled')
  return words.join(',')
}

const rolePrefix = 'node-role.kubernetes.io/'

function rolesText({ metadata }: NodeLike): string {
  const labels = Object.entries(metadata.labels ?? {})
  const roles = labels.flatMap(([key, value]) => {
    if (key.startsWith(rolePrefix)) return [key.slice(rolePrefix.length)]
    return key === 'kubernetes.io/role' ? [value] : []
  })
  const named = [...new Set(roles)].filter((role) => role !== '').sort()
  return named.length === 0 ? '<none>' : named.join(',')
}

const addressOf = ({ status }: NodeLike, wanted: string): string =>
  status?.addresses?.find(({ type }) => type === wanted)?.address ?? '<none>'
const orUnknown = (text: string | undefined): string => (text === undefined || text === '' ? '<unknown>' : text)

/** podCIDR is the first of podCIDRs, whichever of them was given. */
function samePodRange({ podCIDR = '', podCIDRs = [] }: NodeSpec): Partial<NodeSpec> {
  const first = podCIDR === '' ? podCIDRs[0] : podCIDR
  return first === undefined || first === '' ? {} : { podCIDR: first, podCIDRs: podCIDRs.length === 0 ? [first] : podCIDRs }
}

function* checkNodeSpec(field: string, { podCIDR, podCIDRs = [], taints = [] }: NodeSpec): Wrong {
  for (const [index, range] of podCIDRs.entries()) {
    if (!isCIDR(range)) yield invalid(`${field}.podCIDRs[${index}]`, range, 'must be an address range, as in 10.0.0.0/24')
  }
  if (podCIDRs[0] !== podCIDR) yield invalid(`${field}.podCIDRs[0]`, podCIDRs[0], 'must be the same as podCIDR')
  const seen = new Set<string>()
  for (const [index, { key, value, effect }] of taints.entries()) {
    const at = `${field}.taints[${index}]`
    yield* checkName(`${at}.key`, key, wrongQualifiedName)
    yield* checkText(`${at}.value`, value, wrongLabelValue)
    const id = `${key}:${effect}`
    if (seen.has(id)) yield duplicate(at, { key, effect })
    seen.add(id)
  }
}

/** Pods have addresses from the range, and the provider's id names the machine: neither can move. */
function* checkNodeUpdate(now: NodeSpec, old: NodeSpec): Wrong {
  if ((old.podCIDRs ?? []).length > 0)
    yield* checkUnchanged('spec.podCIDRs', now.podCIDRs, old.podCIDRs, 'may not change once set')
  if ((old.providerID ?? '') !== '')
    yield* checkUnchanged('spec.providerID', now.providerID, old.providerID, 'may not change once set')
}

function* checkResourceList(field: string, list: ResourceList): Wrong {
  for (const [name, quantity] of Object.entries(list)) yield* checkQuantity(`${field}[${name}]`, quantity)
}
