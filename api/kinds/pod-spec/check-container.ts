import { isIP, wrongLabel, wrongPort, wrongPortName } from '../../meta/names.ts'
import { duplicate, type FieldError, forbiddenField, invalid, required } from '../../meta/status.ts'
import { checkMin, checkName, checkText, type Wrong } from '../rules.ts'
import { checkEnv, checkEnvFrom } from './check-env.ts'
import { checkLifecycle, checkNoProbes, checkProbe } from './check-probe.ts'
import { checkResourceRequirements } from './check-resources.ts'
import { checkInnerPath } from './check-volume.ts'
import type { Container, ContainerPort, VolumeMount } from './container.ts'
import type { PodSpec } from './pod-spec.ts'
import type { SecurityContext } from './security.ts'

/** What a container is checked against: its pod, and names already seen. */
interface Around {
  readonly spec: PodSpec
  readonly volumes: ReadonlySet<string>
  readonly names: Set<string>
  readonly hostPorts: Set<string>
}

export function* checkContainers(field: string, spec: PodSpec): Wrong {
  const around: Around = {
    spec,
    volumes: new Set((spec.volumes ?? []).map(({ name }) => name)),
    names: new Set(),
    hostPorts: new Set(),
  }
  if (spec.containers.length === 0) yield required(`${field}.containers`)
  for (const [index, container] of spec.containers.entries()) {
    const at = `${field}.containers[${index}]`
    yield* checkContainer(at, container, around)
    for (const which of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
      const probe = container[which]
      if (probe !== undefined) yield* checkProbe(`${at}.${which}`, which, probe)
    }
    if (container.lifecycle !== undefined) {
      yield* checkLifecycle(`${at}.lifecycle`, container.lifecycle, spec.terminationGracePeriodSeconds ?? 30)
    }
  }
  for (const [index, container] of (spec.initContainers ?? []).entries()) {
    const at = `${field}.initContainers[${index}]`
    // Init containers end before the others start, so that their host ports do not clash.
    yield* checkContainer(at, container, { ...around, hostPorts: new Set() })
    yield* checkNoProbes(at, container)
  }
}

function* checkContainer(field: string, container: Container, around: Around): Wrong {
  yield* checkName(`${field}.name`, container.name, wrongLabel)
  if (around.names.has(container.name)) yield duplicate(`${field}.name`, container.name)
  around.names.add(container.name)
  yield* checkImage(`${field}.image`, container.image)
  if (container.restartPolicy !== undefined) yield sidecar(`${field}.restartPolicy`)
  yield* checkPorts(`${field}.ports`, container.ports ?? [], around)
  yield* checkEnv(`${field}.env`, container.env ?? [])
  yield* checkEnvFrom(`${field}.envFrom`, container.envFrom ?? [])
  yield* checkResourceRequirements(`${field}.resources`, container.resources ?? {})
  yield* checkMounts(`${field}.volumeMounts`, container.volumeMounts ?? [], around.volumes)
  if (container.securityContext !== undefined) yield* checkSecurity(`${field}.securityContext`, container.securityContext)
}

const sidecar = (field: string): FieldError => forbiddenField(field, 'sidecar containers are not supported by Skiff yet')

function* checkImage(field: string, image: string | undefined): Wrong {
  if (image === undefined || image === '') yield required(field)
  else if (image !== image.trim()) yield invalid(field, image, 'must not have leading or trailing whitespace')
  else if (/\s/.test(image)) yield invalid(field, image, 'must not contain whitespace')
}

function* checkPorts(field: string, ports: readonly ContainerPort[], { spec, hostPorts }: Around): Wrong {
  const names = new Set<string>()
  for (const [index, port] of ports.entries()) {
    const at = `${field}[${index}]`
    if (port.name !== undefined && port.name !== '') {
      yield* checkText(`${at}.name`, port.name, wrongPortName)
      if (names.has(port.name)) yield duplicate(`${at}.name`, port.name)
      names.add(port.name)
    }
    const wrong = wrongPort(port.containerPort)
    if (wrong !== undefined) yield invalid(`${at}.containerPort`, port.containerPort, wrong)
    yield* checkHostPort(at, port, spec.hostNetwork === true, hostPorts)
  }
}

function* checkHostPort(field: string, port: ContainerPort, hostNetwork: boolean, taken: Set<string>): Wrong {
  const { hostPort = 0, hostIP = '', protocol = 'TCP' } = port
  if (hostIP !== '' && !isIP(hostIP)) yield invalid(`${field}.hostIP`, hostIP, 'must be a valid IP address')
  if (hostPort === 0) return
  const wrong = wrongPort(hostPort)
  if (wrong !== undefined) yield invalid(`${field}.hostPort`, hostPort, wrong)
  if (hostNetwork && hostPort !== port.containerPort) {
    yield invalid(`${field}.hostPort`, hostPort, 'must match `containerPort` when `hostNetwork` is true')
  }
  const key = `${protocol}/${hostIP}/${hostPort}`
  if (taken.has(key)) yield duplicate(`${field}.hostPort`, key)
  taken.add(key)
}

function* checkMounts(field: string, mounts: readonly VolumeMount[], volumes: ReadonlySet<string>): Wrong {
  const paths = new Set<string>()
  for (const [index, mount] of mounts.entries()) {
    const at = `${field}[${index}]`
    if (mount.name === '') yield required(`${at}.name`)
    else if (!volumes.has(mount.name)) yield { field: `${at}.name`, type: 'FieldValueNotFound', value: mount.name, detail: '' }
    yield* checkMountPath(`${at}.mountPath`, mount.mountPath)
    if (paths.has(mount.mountPath)) yield invalid(`${at}.mountPath`, mount.mountPath, 'must be unique')
    paths.add(mount.mountPath)
    if (mount.subPath !== undefined && mount.subPath !== '') yield* checkInnerPath(`${at}.subPath`, mount.subPath)
  }
}

/** Docker takes only absolute paths, and reads ":" as the start of options. */
function* checkMountPath(field: string, path: string): Wrong {
  if (path === '') yield required(field)
  else if (path.includes(':')) yield invalid(field, path, "must not contain ':'")
  else if (!path.startsWith('/')) yield invalid(field, path, 'must be an absolute path')
}

function* checkSecurity(field: string, context: SecurityContext): Wrong {
  yield* checkMin(`${field}.runAsUser`, context.runAsUser, 0)
  yield* checkMin(`${field}.runAsGroup`, context.runAsGroup, 0)
  if (context.allowPrivilegeEscalation !== false) return
  const at = `${field}.allowPrivilegeEscalation`
  if (context.privileged === true) yield invalid(at, false, 'cannot be false when `privileged` is true')
  const gainsAll = (context.capabilities?.add ?? []).some((one) => one === 'CAP_SYS_ADMIN')
  if (gainsAll) yield invalid(at, false, 'cannot be false when `capabilities.add` has CAP_SYS_ADMIN')
}
