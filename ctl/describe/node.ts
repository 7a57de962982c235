import { age } from '../../api/kinds/columns.ts'
import type { Lease } from '../../api/kinds/lease.ts'
import type { Node } from '../../api/kinds/node.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import { addQuantities, type Quantity, quantityMilli } from '../../api/meta/quantity.ts'
import { describeAnnotations } from './parts.ts'
import { type DescribeWriter, readableTime } from './writer.ts'

export interface NodeScene {
  readonly pods: readonly Pod[]
  readonly lease: Lease | undefined
  readonly nowMs: number
}

export function describeNode(node: Node, { pods, lease, nowMs }: NodeScene, w: DescribeWriter): void {
  const { metadata, spec, status } = node
  const role = 'node-role.kubernetes.io/'
  const roles = Object.keys(metadata.labels ?? {}).filter((label) => label.startsWith(role))
  w.field('Name', metadata.name)
  w.field(
    'Roles',
    roles
      .map((label) => label.slice(role.length))
      .sort()
      .join(','),
  )
  w.map('Labels', metadata.labels)
  describeAnnotations(metadata.annotations, w)
  w.time('CreationTimestamp', metadata.creationTimestamp)
  w.list(
    'Taints',
    (spec?.taints ?? []).map(({ key, value, effect }) => `${key}${value === undefined ? '' : `=${value}`}:${effect}`),
  )
  w.field('Unschedulable', spec?.unschedulable === true)
  if (lease !== undefined)
    w.section('Lease', () => {
      w.field('HolderIdentity', lease.spec?.holderIdentity ?? '<unset>')
      w.time('AcquireTime', lease.spec?.acquireTime)
      w.time('RenewTime', lease.spec?.renewTime)
    })
  w.table(
    'Conditions',
    ['Type', 'Status', 'LastHeartbeatTime', 'LastTransitionTime', 'Reason', 'Message'],
    (status?.conditions ?? []).map((one) => [
      `${one.type} `,
      `${one.status} `,
      `${readableTime(one.lastHeartbeatTime)} `,
      `${readableTime(one.lastTransitionTime)} `,
      `${one.reason ?? ''} `,
      one.message ?? '',
    ]),
  )
  w.section('Addresses', () => {
    for (const { type, address } of status?.addresses ?? []) w.field(type, address)
  })
  w.values('Capacity', status?.capacity)
  w.values('Allocatable', status?.allocatable)
  systemInfo(node, w)
  if (spec?.podCIDR !== undefined) w.field('PodCIDR', spec.podCIDR)
  if (spec?.podCIDRs !== undefined) w.field('PodCIDRs', spec.podCIDRs.join(','))
  const running = pods.filter((pod) => pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed')
  podTable(node, running, nowMs, w)
}

const infoNames = {
  machineID: 'Machine ID',
  systemUUID: 'System UUID',
  bootID: 'Boot ID',
  kernelVersion: 'Kernel Version',
  osImage: 'OS Image',
  operatingSystem: 'Operating System',
  architecture: 'Architecture',
  containerRuntimeVersion: 'Container Runtime Version',
  kubeletVersion: 'Kubelet Version',
} as const

function systemInfo({ status }: Node, w: DescribeWriter): void {
  const info = status?.nodeInfo
  if (info === undefined) return
  w.section('System Info', () => {
    for (const [key, label] of Object.entries(infoNames)) w.field(label, info[key as keyof typeof infoNames])
  })
}

type Side = 'requests' | 'limits'
const shown = ['cpu', 'memory'] as const
const summed = [...shown, 'ephemeral-storage'] as const

/** Nothing has no unit of its own: the other one's stays. */
const plus = (a: Quantity, b: Quantity): Quantity => (a === '0' ? b : b === '0' ? a : addQuantities(a, b))

/** Containers run side by side, init containers one after the other before them: what they need at most. */
function need(pod: Pod, side: Side, resource: string): Quantity {
  const of = (container: Pod['spec']['containers'][number]): Quantity => container.resources?.[side]?.[resource] ?? '0'
  const together = pod.spec.containers.map(of).reduce(plus, '0')
  const first = (pod.spec.initContainers ?? []).map(of)
  return first.reduce((most: Quantity, one) => (quantityMilli(one) > quantityMilli(most) ? one : most), together)
}

function podTable({ status }: Node, pods: readonly Pod[], nowMs: number, w: DescribeWriter): void {
  const share = (amount: Quantity, resource: string): string => {
    const room = quantityMilli(status?.allocatable?.[resource] ?? '0')
    return `${amount} (${room === 0 ? 0 : Math.trunc((quantityMilli(amount) / room) * 100)}%)`
  }
  const columns = shown.flatMap((resource) => (['requests', 'limits'] as const).map((side) => ({ resource, side })))
  const rows = pods.map((pod) => [
    pod.metadata.namespace ?? '',
    pod.metadata.name ?? '',
    ...columns.map(({ resource, side }) => share(need(pod, side, resource), resource)),
    age(pod.metadata.creationTimestamp, nowMs),
  ])
  const header = ['Namespace', 'Name', 'CPU Requests', 'CPU Limits', 'Memory Requests', 'Memory Limits', 'Age']
  w.line(`Non-terminated Pods:\t(${pods.length} in total)`)
  w.indented(() => {
    for (const row of [header, header.map((cell) => '-'.repeat(cell.length)), ...rows]) w.line(row.join('\t'))
  })
  const sum = (side: Side, resource: string): Quantity => pods.map((pod) => need(pod, side, resource)).reduce(plus, '0')
  w.section('Allocated resources', () => {
    w.line('(Total limits may be over 100 percent, i.e., overcommitted.)')
    w.line('Resource\tRequests\tLimits')
    w.line('--------\t--------\t------')
    for (const resource of summed)
      w.line(`${resource}\t${share(sum('requests', resource), resource)}\t${share(sum('limits', resource), resource)}`)
  })
}
