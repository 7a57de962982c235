import type { Pod } from '../../api/kinds/pod.ts'
import type { Container } from '../../api/kinds/pod-spec/container.ts'
import type { Probe } from '../../api/kinds/pod-spec/probe.ts'
import type { ContainerStatus } from '../../api/kinds/pod-status.ts'
import { controllerOf } from '../../api/meta/object-meta.ts'
import type { DescribeWriter } from './writer.ts'

export function describePod(pod: Pod, w: DescribeWriter): void {
  const { spec, status } = pod
  const owner = controllerOf(pod)
  w.field('Node', spec.nodeName === undefined ? undefined : `${spec.nodeName}/${status?.hostIP ?? ''}`)
  w.field('Start Time', status?.startTime)
  w.field(
    'Status',
    pod.metadata.deletionTimestamp === undefined ? status?.phase : `Terminating (${pod.metadata.deletionTimestamp})`,
  )
  if (status?.reason !== undefined) w.field('Reason', status.reason)
  if (status?.message !== undefined) w.field('Message', status.message)
  w.field('IP', status?.podIP)
  if (owner !== undefined) w.field('Controlled By', `${owner.kind}/${owner.name}`)
  if ((spec.initContainers ?? []).length > 0)
    w.section('Init Containers', () => containers(spec.initContainers ?? [], status?.initContainerStatuses ?? [], w))
  w.section('Containers', () => containers(spec.containers, status?.containerStatuses ?? [], w))
  w.section('Conditions', () => {
    for (const { type, status: value, reason, message } of status?.conditions ?? [])
      w.field(type, [value, reason, message].filter((text) => text !== undefined && text !== '').join('  '))
  })
  w.section('Volumes', () => {
    for (const { name, ...source } of spec.volumes ?? []) w.field(name, volumeText(source))
    if ((spec.volumes ?? []).length === 0) w.line('<none>')
  })
  w.field('QoS Class', status?.qosClass)
  w.map('Node-Selectors', spec.nodeSelector)
  w.list(
    'Tolerations',
    (spec.tolerations ?? []).map(({ key, operator, value, effect, tolerationSeconds }) => {
      const what = `${key ?? ''}${value === undefined || value === '' ? '' : `=${value}`}${effect === undefined ? '' : `:${effect}`}`
      return `${what}${operator === 'Exists' ? ' op=Exists' : ''}${tolerationSeconds === undefined ? '' : ` for ${tolerationSeconds}s`}`
    }),
  )
}

function containers(specs: readonly Container[], statuses: readonly ContainerStatus[], w: DescribeWriter): void {
  for (const container of specs) {
    const status = statuses.find(({ name }) => name === container.name)
    w.section(container.name, () => {
      w.field('Container ID', status?.containerID)
      w.field('Image', container.image)
      w.field('Image ID', status?.imageID)
      w.list(
        'Ports',
        (container.ports ?? []).map((port) => `${port.containerPort}/${port.protocol ?? 'TCP'}`),
      )
      if (container.command !== undefined) w.list('Command', container.command)
      if (container.args !== undefined) w.list('Args', container.args)
      containerState(status, w)
      resources(container, w)
      probes(container, w)
      w.list('Environment', (container.env ?? []).map(environment))
      w.list(
        'Mounts',
        (container.volumeMounts ?? []).map(
          (mount) => `${mount.mountPath} from ${mount.name} (${mount.readOnly === true ? 'ro' : 'rw'})`,
        ),
      )
    })
  }
}

function containerState(status: ContainerStatus | undefined, w: DescribeWriter): void {
  state('State', status?.state, w)
  if (status?.lastState !== undefined && Object.keys(status.lastState).length > 0) state('Last State', status.lastState, w)
  w.field('Ready', status?.ready === true ? 'True' : 'False')
  w.field('Restart Count', status?.restartCount ?? 0)
}

function probes({ livenessProbe, readinessProbe, startupProbe }: Container, w: DescribeWriter): void {
  if (livenessProbe !== undefined) w.field('Liveness', probeText(livenessProbe))
  if (readinessProbe !== undefined) w.field('Readiness', probeText(readinessProbe))
  if (startupProbe !== undefined) w.field('Startup', probeText(startupProbe))
}

function resources(container: Container, w: DescribeWriter): void {
  const { limits, requests } = container.resources ?? {}
  if (limits !== undefined) w.map('Limits', limits as Readonly<Record<string, string>>)
  if (requests !== undefined) w.map('Requests', requests as Readonly<Record<string, string>>)
}

function state(label: string, value: ContainerStatus['state'], w: DescribeWriter): void {
  const { running, terminated, waiting } = value ?? {}
  if (running !== undefined) {
    w.field(label, 'Running')
    w.field('  Started', running.startedAt)
  } else if (terminated !== undefined) {
    w.field(label, 'Terminated')
    w.field('  Reason', terminated.reason)
    if (terminated.message !== undefined) w.field('  Message', terminated.message)
    w.field('  Exit Code', terminated.exitCode)
    w.field('  Started', terminated.startedAt)
    w.field('  Finished', terminated.finishedAt)
  } else {
    w.field(label, 'Waiting')
    if (waiting?.reason !== undefined) w.field('  Reason', waiting.reason)
    if (waiting?.message !== undefined) w.field('  Message', waiting.message)
  }
}

function probeText(probe: Probe): string {
  const how =
    probe.httpGet !== undefined
      ? `http-get ${(probe.httpGet.scheme ?? 'HTTP').toLowerCase()}://${probe.httpGet.host ?? ''}:${probe.httpGet.port}${probe.httpGet.path ?? '/'}`
      : probe.tcpSocket !== undefined
        ? `tcp-socket :${probe.tcpSocket.port}`
        : `exec [${(probe.exec?.command ?? []).join(' ')}]`
  return `${how} delay=${probe.initialDelaySeconds ?? 0}s timeout=${probe.timeoutSeconds ?? 1}s period=${probe.periodSeconds ?? 10}s #success=${probe.successThreshold ?? 1} #failure=${probe.failureThreshold ?? 3}`
}

function environment({ name, value, valueFrom }: NonNullable<Container['env']>[number]): string {
  const from = valueFrom ?? {}
  if (from.configMapKeyRef !== undefined)
    return `${name}: <set to the key '${from.configMapKeyRef.key}' of config map '${from.configMapKeyRef.name}'>`
  if (from.secretKeyRef !== undefined)
    return `${name}: <set to the key '${from.secretKeyRef.key}' in secret '${from.secretKeyRef.name}'>`
  if (from.fieldRef !== undefined) return `${name}: (${from.fieldRef.fieldPath})`
  if (from.resourceFieldRef !== undefined) return `${name}: (${from.resourceFieldRef.resource})`
  return `${name}: ${value ?? ''}`
}

function volumeText(source: Readonly<Record<string, unknown>>): string {
  return Object.entries(source)
    .map(([type, options]) => `${type} ${JSON.stringify(options)}`)
    .join(' ')
}
