import type { Container, ContainerPort, ResourceRequirements } from './container.ts'
import type { PodSpec, PodTemplateSpec } from './pod-spec.ts'
import type { Volume } from './volume.ts'

/** What a template and a pod have in common; the schema's own defaults have been filled in. */
export function defaultPodSpec(spec: PodSpec): PodSpec {
  const container = (one: Container) => defaultContainer(one, spec.hostNetwork === true)
  const account = spec.serviceAccountName ?? spec.serviceAccount
  return {
    ...spec,
    containers: spec.containers.map(container),
    ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(container) }),
    ...(spec.volumes === undefined ? {} : { volumes: spec.volumes.map(defaultVolume) }),
    // The old name of the field is kept equal, because old clients read it.
    ...(account === undefined || account === '' ? {} : { serviceAccountName: account, serviceAccount: account }),
  }
}

export function defaultTemplate(template: PodTemplateSpec): PodTemplateSpec {
  return { ...template, spec: defaultPodSpec(template.spec) }
}

/** What only pods get, not templates: they must stay as written. */
export function defaultPodOnly(spec: PodSpec): PodSpec {
  const withRequests = (one: Container): Container =>
    one.resources?.limits === undefined ? one : { ...one, resources: requestsFromLimits(one.resources) }
  return {
    ...spec,
    enableServiceLinks: spec.enableServiceLinks ?? true,
    containers: spec.containers.map(withRequests),
    ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(withRequests) }),
  }
}

function requestsFromLimits(resources: ResourceRequirements): ResourceRequirements {
  return { ...resources, requests: { ...resources.limits, ...resources.requests } }
}

function defaultContainer(container: Container, hostNetwork: boolean): Container {
  return {
    ...container,
    imagePullPolicy: container.imagePullPolicy ?? pullPolicyOf(container.image ?? ''),
    ...(container.ports === undefined || !hostNetwork ? {} : { ports: container.ports.map(hostPort) }),
  }
}

const hostPort = (port: ContainerPort): ContainerPort =>
  port.hostPort === undefined || port.hostPort === 0 ? { ...port, hostPort: port.containerPort } : port

/** `latest`, also when neither tag nor digest is given, may move: always ask. */
function pullPolicyOf(image: string): 'Always' | 'IfNotPresent' {
  const [name = '', digest] = image.split('@')
  const lastPart = name.slice(name.lastIndexOf('/') + 1)
  const colon = lastPart.indexOf(':')
  const tag = colon < 0 ? undefined : lastPart.slice(colon + 1)
  return tag === 'latest' || (tag === undefined && digest === undefined) ? 'Always' : 'IfNotPresent'
}

function defaultVolume(volume: Volume): Volume {
  const hasSource = Object.keys(volume).some((key) => key !== 'name')
  return hasSource ? volume : { ...volume, emptyDir: {} }
}
