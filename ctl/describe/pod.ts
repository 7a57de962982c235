import type { Pod } from '../../api/kinds/pod.ts'
import { controllerOf } from '../../api/meta/object-meta.ts'
import { describeContainers } from './containers.ts'
import { describeAnnotations, describePlacement, describeVolumes } from './parts.ts'
import { type DescribeWriter, readableTime } from './writer.ts'

export function describePod(pod: Pod, w: DescribeWriter): void {
  const { metadata, spec, status } = pod
  w.field('Name', metadata.name)
  w.field('Namespace', metadata.namespace)
  w.field('Priority', spec.priority ?? 0)
  if (spec.serviceAccountName !== undefined) w.field('Service Account', spec.serviceAccountName)
  w.field('Node', spec.nodeName === undefined ? undefined : `${spec.nodeName}/${status?.hostIP ?? ''}`)
  if (status?.startTime !== undefined) w.time('Start Time', status.startTime)
  w.map('Labels', metadata.labels)
  describeAnnotations(metadata.annotations, w)
  podState(pod, w)
  const field = (path: string): string => fieldValue(pod, path)
  if ((spec.initContainers ?? []).length > 0) {
    const about = { statuses: status?.initContainerStatuses ?? [], field }
    describeContainers('Init Containers', spec.initContainers ?? [], about, w)
  }
  describeContainers('Containers', spec.containers, { statuses: status?.containerStatuses ?? [], field }, w)
  conditions(pod, w)
  describeVolumes(spec, w)
  w.field('QoS Class', status?.qosClass)
  describePlacement(spec, w)
}

function podState({ metadata, spec, status }: Pod, w: DescribeWriter): void {
  const owner = controllerOf({ metadata })
  if (metadata.deletionTimestamp === undefined) w.field('Status', status?.phase)
  else {
    w.field('Status', `Terminating (since ${readableTime(metadata.deletionTimestamp)})`)
    w.field('Termination Grace Period', `${metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30}s`)
  }
  if (status?.reason !== undefined) w.field('Reason', status.reason)
  if (status?.message !== undefined) w.field('Message', status.message)
  w.line(`IP:\t${status?.podIP ?? ''}`)
  if (status?.podIP === undefined) w.field('IPs', undefined)
  else w.section('IPs', () => w.field('IP', status.podIP))
  if (owner !== undefined) w.field('Controlled By', `${owner.kind}/${owner.name}`)
}

/** kubectl tells only whether a condition holds; why it does not is what one looks for. */
function conditions({ status }: Pod, w: DescribeWriter): void {
  const all = status?.conditions ?? []
  if (all.length === 0) return
  const withReason = all.some(({ reason, status: value }) => value !== 'True' && reason !== undefined && reason !== '')
  w.section('Conditions', () => {
    w.line(`Type\tStatus${withReason ? '\tReason\tMessage' : ''}`)
    for (const { type, status: value, reason = '', message = '' } of all)
      w.line(`${type} \t${value} ${withReason ? `\t${reason}\t${message}` : ''}`)
  })
}

function fieldValue(pod: Pod, path: string): string {
  const { metadata, spec, status } = pod
  const inMap = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path)
  if (inMap !== null) return metadata[inMap[1] as 'labels' | 'annotations']?.[inMap[2] ?? ''] ?? ''
  const values: Readonly<Record<string, string | undefined>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'spec.nodeName': spec.nodeName,
    'spec.serviceAccountName': spec.serviceAccountName,
    'status.podIP': status?.podIP,
    'status.hostIP': status?.hostIP,
  }
  return values[path] ?? ''
}
