import type { ConfigMap } from '../../api/kinds/config-map.ts'
import type { Deployment } from '../../api/kinds/deployment.ts'
import type { Namespace } from '../../api/kinds/namespace.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import type { ReplicaSet } from '../../api/kinds/replica-set.ts'
import type { Secret } from '../../api/kinds/secret.ts'
import type { Service } from '../../api/kinds/service.ts'
import { type ApiObject, controllerOf } from '../../api/meta/object-meta.ts'
import { formatLabelSelector } from '../../api/meta/selector.ts'
import { describeAnnotations, describeTemplate } from './parts.ts'
import type { DescribeWriter } from './writer.ts'

export function describeHead({ metadata }: ApiObject, isNamespaced: boolean, w: DescribeWriter): void {
  w.field('Name', metadata.name)
  if (isNamespaced) w.field('Namespace', metadata.namespace)
  w.map('Labels', metadata.labels)
  describeAnnotations(metadata.annotations, w)
}

export function describeDeployment({ spec, status, metadata }: Deployment, sets: readonly ReplicaSet[], w: DescribeWriter): void {
  w.field('Name', metadata.name)
  w.field('Namespace', metadata.namespace)
  w.time('CreationTimestamp', metadata.creationTimestamp)
  w.map('Labels', metadata.labels)
  describeAnnotations(metadata.annotations, w)
  w.field('Selector', formatLabelSelector(spec.selector))
  const s = status ?? {}
  w.field(
    'Replicas',
    `${spec.replicas ?? 1} desired | ${s.updatedReplicas ?? 0} updated | ${s.replicas ?? 0} total | ${s.availableReplicas ?? 0} available | ${s.unavailableReplicas ?? 0} unavailable`,
  )
  w.field('StrategyType', spec.strategy?.type)
  w.field('MinReadySeconds', spec.minReadySeconds ?? 0)
  const rolling = spec.strategy?.rollingUpdate
  if (rolling !== undefined)
    w.field('RollingUpdateStrategy', `${rolling.maxUnavailable} max unavailable, ${rolling.maxSurge} max surge`)
  describeTemplate(spec.template, w)
  const conditions = status?.conditions ?? []
  if (conditions.length > 0)
    w.table(
      'Conditions',
      ['Type', 'Status', 'Reason'],
      conditions.map(({ type, status: value, reason = '' }) => [`${type} `, value, reason]),
    )
  const revision = (set: ReplicaSet): number => Number(set.metadata.annotations?.['deployment.kubernetes.io/revision'] ?? 0)
  const [newest, ...old] = sets.toSorted((a, b) => revision(b) - revision(a))
  const isCurrent =
    newest !== undefined && String(revision(newest)) === metadata.annotations?.['deployment.kubernetes.io/revision']
  w.field('OldReplicaSets', (isCurrent ? old : sets).map(replicasOf).join(', '))
  w.field('NewReplicaSet', isCurrent ? replicasOf(newest) : undefined)
}

const replicasOf = ({ metadata, spec, status }: ReplicaSet): string =>
  `${metadata.name} (${status?.replicas ?? 0}/${spec.replicas ?? 1} replicas created)`

export function describeReplicaSet(set: ReplicaSet, pods: readonly Pod[], w: DescribeWriter): void {
  const { metadata, spec, status } = set
  w.field('Name', metadata.name)
  w.field('Namespace', metadata.namespace)
  w.field('Selector', formatLabelSelector(spec.selector))
  w.map('Labels', metadata.labels)
  describeAnnotations(metadata.annotations, w)
  const owner = controllerOf(set)
  if (owner !== undefined) w.field('Controlled By', `${owner.kind}/${owner.name}`)
  w.field('Replicas', `${status?.replicas ?? 0} current / ${spec.replicas ?? 1} desired`)
  const count = (phase: string): number => pods.filter((pod) => pod.status?.phase === phase).length
  const counts = `${count('Running')} Running / ${count('Pending')} Waiting / ${count('Succeeded')} Succeeded / ${count('Failed')} Failed`
  w.field('Pods Status', counts)
  describeTemplate(spec.template, w)
}

export function describeNamespace(object: Namespace, w: DescribeWriter): void {
  describeHead(object, false, w)
  w.field('Status', object.status?.phase)
  const conditions = (object.status?.conditions ?? []).map(
    ({ type, status, lastTransitionTime = '', reason = '', message = '' }) => [
      type,
      status,
      lastTransitionTime ?? '',
      reason,
      message,
    ],
  )
  if (conditions.length > 0) w.table('Conditions', ['Type', 'Status', 'LastTransitionTime', 'Reason', 'Message'], conditions)
}

export function describeService(object: Service, endpoints: readonly string[], w: DescribeWriter): void {
  const { spec } = object
  describeHead(object, true, w)
  w.list(
    'Selector',
    [
      Object.entries(spec.selector ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .sort()
        .join(','),
    ].filter(Boolean),
  )
  w.field('Type', spec.type)
  w.field('IP Family Policy', spec.ipFamilyPolicy)
  w.field('IP Families', (spec.ipFamilies ?? []).join(','))
  w.field('IP', spec.clusterIP)
  w.field('IPs', (spec.clusterIPs ?? []).join(','))
  for (const port of spec.ports ?? []) {
    const protocol = port.protocol ?? 'TCP'
    w.line(`Port:\t${port.name ?? '<unset>'}\t${port.port}/${protocol}`)
    w.field('TargetPort', `${port.targetPort ?? port.port}/${protocol}`)
    if (port.nodePort !== undefined) w.line(`NodePort:\t${port.name ?? '<unset>'}\t${port.nodePort}/${protocol}`)
  }
  const more = endpoints.length > 3 ? ` + ${endpoints.length - 3} more...` : ''
  w.field('Endpoints', `${endpoints.slice(0, 3).join(',')}${more}`)
  w.field('Session Affinity', spec.sessionAffinity)
  if (spec.externalTrafficPolicy !== undefined) w.field('External Traffic Policy', spec.externalTrafficPolicy)
  if (spec.internalTrafficPolicy !== undefined) w.field('Internal Traffic Policy', spec.internalTrafficPolicy)
}

export function describeConfigMap(object: ConfigMap, w: DescribeWriter): void {
  describeHead(object, true, w)
  w.text('\nData\n====')
  for (const [key, value] of sorted(object.data)) w.text(`${key}:\n----\n${value}\n`)
  w.text('\nBinaryData\n====')
  for (const [key, value] of sorted(object.binaryData)) w.text(`${key}: ${bytesOf(value)} bytes`)
  w.text('')
}

/** Sizes only: values stay secret. */
export function describeSecret(object: Secret, w: DescribeWriter): void {
  describeHead(object, true, w)
  w.text('')
  w.field('Type', object.type)
  w.text('\nData\n====')
  for (const [key, value] of sorted(object.data)) w.field(key, `${bytesOf(value)} bytes`)
}

const bytesOf = (base64: string): number => Buffer.from(base64, 'base64').length
const sorted = (values: Readonly<Record<string, string>> | undefined): readonly (readonly [string, string])[] =>
  Object.entries(values ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
