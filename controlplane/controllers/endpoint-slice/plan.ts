import type { Endpoint, EndpointPort, EndpointSlice } from '../../../api/kinds/endpoint-slice.ts'
import type { Pod } from '../../../api/kinds/pod.ts'
import type { Service } from '../../../api/kinds/service.ts'
import { controllerRef } from '../../../api/meta/object-meta.ts'
import { isSameJson } from '../shared/deep-equal.ts'
import { isFinished, isReady } from '../shared/pods.ts'

export const serviceLabel = 'kubernetes.io/service-name'
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by'
export const managedBy = 'endpointslice-controller.k8s.io'
const headlessLabel = 'service.kubernetes.io/headless'
const maxEndpoints = 100

type ServicePort = NonNullable<Service['spec']['ports']>[number]

export interface SlicePlan {
  readonly create: readonly EndpointSlice[]
  readonly update: readonly EndpointSlice[]
  readonly delete: readonly EndpointSlice[]
}

export interface ServiceSeen {
  readonly service: Service
  /** Those that the service selects. */
  readonly pods: readonly Pod[]
  /** Those that this controller made for the service. */
  readonly slices: readonly EndpointSlice[]
}

interface Group {
  readonly ports: readonly EndpointPort[]
  readonly endpoints: Map<string, Endpoint>
}

/**
 * The slices that a service is to have. Pods whose ports resolve to the same numbers share slices. A slice that is there
 * is kept and only gets what changed, so that one pod changes one slice.
 */
export function planSlices({ service, pods, slices }: ServiceSeen): SlicePlan {
  const groups = groupByPorts(service, pods)
  const byPorts = Map.groupBy(slices, (slice) => JSON.stringify(slice.ports ?? []))
  const plan = { create: [] as EndpointSlice[], update: [] as EndpointSlice[], delete: [] as EndpointSlice[] }
  for (const [id, group] of groups) {
    const part = planGroup(service, group, byPorts.get(id) ?? [])
    byPorts.delete(id)
    plan.create.push(...part.create)
    plan.update.push(...part.update)
    plan.delete.push(...part.delete)
  }
  plan.delete.push(...[...byPorts.values()].flat())
  return plan
}

function groupByPorts(service: Service, pods: readonly Pod[]): ReadonlyMap<string, Group> {
  const groups = new Map<string, Group>()
  for (const pod of pods) {
    const endpoint = endpointOf(service, pod)
    if (endpoint === undefined) continue
    const ports = (service.spec.ports ?? []).flatMap((port) => endpointPort(port, pod) ?? [])
    const id = JSON.stringify(ports)
    const group = groups.get(id) ?? { ports, endpoints: new Map<string, Endpoint>() }
    groups.set(id, group)
    group.endpoints.set(pod.metadata.uid ?? '', endpoint)
  }
  return groups
}

/** undefined for pods that never take traffic (again). */
function endpointOf(service: Service, pod: Pod): Endpoint | undefined {
  const { podIP = '' } = pod.status ?? {}
  if (podIP === '' || isFinished(pod)) return undefined
  const { name = '', namespace = '', uid = '' } = pod.metadata
  const terminating = pod.metadata.deletionTimestamp !== undefined
  const serving = isReady(pod)
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating)
  const { nodeName = '', hostname, subdomain } = pod.spec
  const hasHostname = hostname !== undefined && hostname !== '' && subdomain === service.metadata.name
  return {
    addresses: [podIP],
    conditions: { ready, serving, terminating },
    ...(hasHostname ? { hostname } : {}),
    targetRef: { kind: 'Pod', namespace, name, uid },
    ...(nodeName === '' ? {} : { nodeName }),
  }
}

/** undefined when the pod has no port of that name. */
function endpointPort(port: ServicePort, pod: Pod): EndpointPort | undefined {
  const { name = '', protocol = 'TCP', targetPort = port.port, appProtocol } = port
  const number = portNumber(targetPort, protocol, pod)
  if (number === undefined) return undefined
  return { name, protocol, port: number, ...(appProtocol === undefined ? {} : { appProtocol }) }
}

function portNumber(target: number | string, protocol: string, pod: Pod): number | undefined {
  if (typeof target === 'number') return target
  if (/^\d+$/.test(target)) return Number(target)
  const ports = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].flatMap((container) => container.ports ?? [])
  return ports.find((one) => one.name === target && (one.protocol ?? 'TCP') === protocol)?.containerPort
}

function planGroup(service: Service, { ports, endpoints }: Group, slices: readonly EndpointSlice[]): SlicePlan {
  const left = new Map(endpoints)
  const kept = slices.map((slice) => ({ slice, endpoints: keptEndpoints(slice, left) }))
  // What is new fills what is there, and only then makes new slices.
  for (const one of kept) {
    for (const [uid, endpoint] of left) {
      if (one.endpoints.length >= maxEndpoints) break
      one.endpoints.push(endpoint)
      left.delete(uid)
    }
  }
  const rest = [...left.values()]
  const create: EndpointSlice[] = []
  for (let at = 0; at < rest.length; at += maxEndpoints) create.push(sliceOf(service, ports, rest.slice(at, at + maxEndpoints)))
  return {
    create,
    update: kept.flatMap(({ slice, endpoints: now }) => (now.length === 0 ? [] : changedSlice(service, slice, now))),
    delete: kept.filter((one) => one.endpoints.length === 0).map(({ slice }) => slice),
  }
}

/** Those of the slice that are still wanted, as they are now; takes them from `left`. */
function keptEndpoints(slice: EndpointSlice, left: Map<string, Endpoint>): Endpoint[] {
  return (slice.endpoints ?? []).flatMap((old): readonly Endpoint[] => {
    const uid = old.targetRef?.uid ?? ''
    const endpoint = left.get(uid)
    left.delete(uid)
    return endpoint === undefined ? [] : [endpoint]
  })
}

function changedSlice(service: Service, slice: EndpointSlice, endpoints: readonly Endpoint[]): readonly EndpointSlice[] {
  const labels = labelsOf(service)
  const isSame = isSameJson(slice.endpoints, endpoints) && isSameJson(slice.metadata.labels, labels)
  return isSame ? [] : [{ ...slice, metadata: { ...slice.metadata, labels }, endpoints }]
}

function labelsOf({ metadata, spec }: Service): Readonly<Record<string, string>> {
  return {
    ...metadata.labels,
    [serviceLabel]: metadata.name ?? '',
    [managedByLabel]: managedBy,
    ...(spec.clusterIP === 'None' ? { [headlessLabel]: '' } : {}),
  }
}

function sliceOf(service: Service, ports: readonly EndpointPort[], endpoints: readonly Endpoint[]): EndpointSlice {
  const { name = '', namespace = '' } = service.metadata
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { generateName: `${name}-`, namespace, labels: labelsOf(service), ownerReferences: [controllerRef(service)] },
    addressType: 'IPv4',
    endpoints,
    ports,
  }
}
