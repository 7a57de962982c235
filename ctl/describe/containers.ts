import type { Container } from '../../api/kinds/pod-spec/container.ts'
import type { Probe } from '../../api/kinds/pod-spec/probe.ts'
import type { ContainerStatus } from '../../api/kinds/pod-status.ts'
import type { DescribeWriter } from './writer.ts'

/** What env of a container refers to: the pod that it is in, where there is one. */
export type FieldReader = (fieldPath: string) => string

interface About {
  readonly statuses: readonly ContainerStatus[] | undefined
  readonly field: FieldReader
}

export function describeContainers(label: string, specs: readonly Container[], about: About, w: DescribeWriter): void {
  const each = (lead: string): void => {
    for (const container of specs) {
      w.line(`${lead}${container.name}:`)
      w.indented(() => describeContainer(container, about, w))
    }
  }
  w.line(`${label}:`)
  // In a template kubectl sets names in by just one.
  if (about.statuses === undefined) each(' ')
  else w.indented(() => each(''))
}

function describeContainer(container: Container, { statuses, field }: About, w: DescribeWriter): void {
  const status = statuses?.find(({ name }) => name === container.name)
  identity(container, statuses === undefined ? undefined : (status ?? null), w)
  lines('Command', container.command, w)
  lines('Args', container.args, w)
  if (statuses !== undefined) containerState(status, w)
  w.values('Limits', container.resources?.limits)
  w.values('Requests', container.resources?.requests)
  probes(container, w)
  environment(container, field, w)
  mounts(container, w)
}

/** `status`: undefined in a template, null where the node has said nothing yet. */
function identity(container: Container, status: ContainerStatus | null | undefined, w: DescribeWriter): void {
  if (status !== undefined) w.line(`Container ID:\t${status?.containerID ?? ''}`)
  w.field('Image', container.image)
  if (status !== undefined) w.line(`Image ID:\t${status?.imageID ?? ''}`)
  const ports = container.ports ?? []
  const many = ports.length > 1 ? 's' : ''
  w.field(`Port${many}`, ports.map((port) => `${port.containerPort}/${port.protocol ?? 'TCP'}`).join(', '))
  w.field(`Host Port${many}`, ports.map((port) => `${port.hostPort ?? 0}/${port.protocol ?? 'TCP'}`).join(', '))
}

function lines(label: string, values: readonly string[] | undefined, w: DescribeWriter): void {
  if (values === undefined || values.length === 0) return
  w.section(label, () => {
    for (const value of values) for (const line of value.split('\n')) w.line(line)
  })
}

function containerState(status: ContainerStatus | undefined, w: DescribeWriter): void {
  state('State', status?.state, w)
  if (status?.lastState?.terminated !== undefined) state('Last State', status.lastState, w)
  w.field('Ready', status?.ready === true ? 'True' : 'False')
  w.field('Restart Count', status?.restartCount ?? 0)
}

function state(label: string, value: ContainerStatus['state'], w: DescribeWriter): void {
  const { running, terminated, waiting } = value ?? {}
  if (running !== undefined) {
    w.field(label, 'Running')
    w.indented(() => w.time('Started', running.startedAt))
    return
  }
  w.field(label, terminated === undefined ? 'Waiting' : 'Terminated')
  w.indented(() => {
    const { reason, message } = terminated ?? waiting ?? {}
    if (reason !== undefined) w.field('Reason', reason)
    if (message !== undefined) w.field('Message', message)
    if (terminated === undefined) return
    w.field('Exit Code', terminated.exitCode)
    w.time('Started', terminated.startedAt)
    w.time('Finished', terminated.finishedAt)
  })
}

function probes({ livenessProbe, readinessProbe, startupProbe }: Container, w: DescribeWriter): void {
  if (livenessProbe !== undefined) w.field('Liveness', probeText(livenessProbe))
  if (readinessProbe !== undefined) w.field('Readiness', probeText(readinessProbe))
  if (startupProbe !== undefined) w.field('Startup', probeText(startupProbe))
}

function probeText(probe: Probe): string {
  const { httpGet, tcpSocket, exec } = probe
  const how =
    httpGet !== undefined
      ? `http-get ${(httpGet.scheme ?? 'HTTP').toLowerCase()}://${httpGet.host ?? ''}:${httpGet.port}${httpGet.path ?? '/'}`
      : tcpSocket !== undefined
        ? `tcp-socket ${tcpSocket.host ?? ''}:${tcpSocket.port}`
        : `exec [${(exec?.command ?? []).join(' ')}]`
  return `${how} delay=${probe.initialDelaySeconds ?? 0}s timeout=${probe.timeoutSeconds ?? 1}s period=${probe.periodSeconds ?? 10}s #success=${probe.successThreshold ?? 1} #failure=${probe.failureThreshold ?? 3}`
}

function environment({ env = [], envFrom = [] }: Container, field: FieldReader, w: DescribeWriter): void {
  if (envFrom.length > 0)
    w.section('Environment Variables from', () => {
      for (const { configMapRef, secretRef, prefix } of envFrom) {
        const from = configMapRef ?? secretRef
        const what = `${configMapRef === undefined ? 'Secret' : 'ConfigMap'}${prefix === undefined || prefix === '' ? '' : ` with prefix '${prefix}'`}`
        w.line(`${from?.name ?? ''}\t${what}\tOptional: ${from?.optional ?? false}`)
      }
    })
  w.each('Environment', env, () => {
    for (const variable of env)
      for (const [index, line] of variableText(variable, field).split('\n').entries())
        w.line(`${index === 0 ? `${variable.name}:` : ''}\t${line}`)
  })
}

function variableText({ value = '', valueFrom }: NonNullable<Container['env']>[number], field: FieldReader): string {
  const { configMapKeyRef: config, secretKeyRef: secret, fieldRef, resourceFieldRef } = valueFrom ?? {}
  if (config !== undefined)
    return `<set to the key '${config.key}' of config map '${config.name}'>\tOptional: ${config.optional ?? false}`
  if (secret !== undefined)
    return `<set to the key '${secret.key}' in secret '${secret.name}'>\tOptional: ${secret.optional ?? false}`
  if (fieldRef !== undefined) return `${field(fieldRef.fieldPath)} (${fieldRef.apiVersion ?? 'v1'}:${fieldRef.fieldPath})`
  if (resourceFieldRef !== undefined) return ` (${resourceFieldRef.resource})`
  return value
}

function mounts({ volumeMounts = [] }: Container, w: DescribeWriter): void {
  w.each('Mounts', volumeMounts, () => {
    for (const { mountPath, name, readOnly, subPath } of volumeMounts.toSorted((a, b) => (a.mountPath < b.mountPath ? -1 : 1)))
      w.line(
        `${mountPath} from ${name} (${readOnly === true ? 'ro' : 'rw'}${subPath === undefined || subPath === '' ? '' : `,path="${subPath}"`})`,
      )
  })
}
