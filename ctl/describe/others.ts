import type { ConfigMap } from '../../api/kinds/config-map.ts'
import type { Deployment } from '../../api/kinds/deployment.ts'
import type { Node } from '../../api/kinds/node.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import type { Secret } from '../../api/kinds/secret.ts'
import type { Service } from '../../api/kinds/service.ts'
import { formatLabelSelector } from '../../api/meta/selector.ts'
import type { DescribeWriter } from './writer.ts'

export function describeDeployment({ spec, status, metadata }: Deployment, w: DescribeWriter): void {
  w.field('CreationTimestamp', metadata.creationTimestamp)
  w.field('Selector', formatLabelSelector(spec.selector))
  const s = status ?? {}
  w.field(
    'Replicas',
    `${spec.replicas ?? 1} desired | ${s.updatedReplicas ?? 0} updated | ${s.replicas ?? 0} total | ${s.availableReplicas ?? 0} available | ${s.unavailableReplicas ?? 0} unavailable`,
  )
  w.field('StrategyType', spec.strategy?.type)
  const rolling = spec.strategy?.rollingUpdate
  if (rolling !== undefined)
    w.field('RollingUpdateStrategy', `${rolling.maxUnavailable} max unavailable, ${rolling.maxSurge} max surge`)
  w.section('Pod Template', () => {
    w.map('Labels', spec.template.metadata?.labels)
    w.section('Containers', () => {
      for (const { name, image } of spec.template.spec?.containers ?? []) w.field(name, image)
    })
  })
  w.section('Conditions', () => {
    for (const { type, status: value, reason, message } of status?.conditions ?? [])
      w.field(type, `${value}  ${reason ?? ''}  ${message ?? ''}`)
  })
}

export function describeNode({ metadata, spec, status }: Node, pods: readonly Pod[], w: DescribeWriter): void {
  w.field('CreationTimestamp', metadata.creationTimestamp)
  w.list(
    'Taints',
    (spec?.taints ?? []).map(({ key, value, effect }) => `${key}${value === undefined ? '' : `=${value}`}:${effect}`),
  )
  w.field('Unschedulable', spec?.unschedulable === true)
  w.section('Conditions', () => {
    for (const { type, status: value, reason, message } of status?.conditions ?? [])
      w.field(type, `${value}  ${reason ?? ''}  ${message ?? ''}`)
  })
  w.section('Addresses', () => {
    for (const { type, address } of status?.addresses ?? []) w.field(type, address)
  })
  w.section('Capacity', () => {
    for (const [name, amount] of Object.entries(status?.capacity ?? {})) w.field(name, amount)
  })
  w.section('Allocatable', () => {
    for (const [name, amount] of Object.entries(status?.allocatable ?? {})) w.field(name, amount)
  })
  w.section('System Info', () => {
    for (const [name, value] of Object.entries(status?.nodeInfo ?? {})) w.field(name, value)
  })
  w.field('PodCIDR', spec?.podCIDR)
  w.section(`Pods (${pods.length} in total)`, () => {
    for (const pod of pods) w.field(`${pod.metadata.namespace}/${pod.metadata.name}`, pod.status?.phase)
  })
}

export function describeService({ spec }: Service, endpoints: readonly string[], w: DescribeWriter): void {
  w.map('Selector', spec.selector)
  w.field('Type', spec.type)
  w.field('IP', spec.clusterIP)
  for (const port of spec.ports ?? []) {
    w.field('Port', `${port.name ?? '<unset>'}  ${port.port}/${port.protocol ?? 'TCP'}`)
    w.field('TargetPort', `${port.targetPort ?? port.port}/${port.protocol ?? 'TCP'}`)
    if (port.nodePort !== undefined) w.field('NodePort', `${port.name ?? '<unset>'}  ${port.nodePort}/${port.protocol ?? 'TCP'}`)
  }
  w.list('Endpoints', endpoints)
  w.field('Session Affinity', spec.sessionAffinity)
  w.field('External Traffic Policy', spec.externalTrafficPolicy)
}

export function describeConfigMap({ data, binaryData }: ConfigMap, w: DescribeWriter): void {
  w.section('Data', () => {
    for (const [key, value] of Object.entries(data ?? {})) {
      w.line(`${key}:`)
      w.line('----')
      for (const line of value.split('\n')) w.line(line)
    }
  })
  w.section('BinaryData', () => {
    for (const [key, value] of Object.entries(binaryData ?? {})) w.field(key, `${Buffer.from(value, 'base64').length} bytes`)
  })
}

/** Sizes only: values stay secret. */
export function describeSecret({ type, data }: Secret, w: DescribeWriter): void {
  w.field('Type', type)
  w.section('Data', () => {
    for (const [key, value] of Object.entries(data ?? {})) w.field(key, `${Buffer.from(value, 'base64').length} bytes`)
  })
}
