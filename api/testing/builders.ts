import { ConfigMap } from '../kinds/config-map.ts'
import type { KindDef } from '../kinds/define.ts'
import { Deployment } from '../kinds/deployment.ts'
import { EndpointSlice } from '../kinds/endpoint-slice.ts'
import { Event } from '../kinds/event.ts'
import { Lease } from '../kinds/lease.ts'
import { Namespace } from '../kinds/namespace.ts'
import { Node } from '../kinds/node.ts'
import { Pod } from '../kinds/pod.ts'
import { ReplicaSet } from '../kinds/replica-set.ts'
import { Secret } from '../kinds/secret.ts'
import { Service } from '../kinds/service.ts'
import { ServiceAccount } from '../kinds/service-account.ts'
import type { ApiObject } from '../meta/object-meta.ts'

/** Any part of T; lists are given whole. `undefined` takes a field away. */
export type Part<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [K in keyof T]?: Part<T[K]> | undefined }
    : T

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Objects merge, everything else of `part` wins; `undefined` takes away. */
export function override<T extends object>(base: T, part: Part<T>): T {
  const merged: Record<string, unknown> = Object.fromEntries(Object.entries(base))
  for (const [key, value] of Object.entries(part)) {
    const old = merged[key]
    if (value === undefined) delete merged[key]
    else merged[key] = isRecord(old) && isRecord(value) ? override(old, value) : value
  }
  // A T with some fields replaced by others of their own types.
  return merged as T
}

/**
 * A function that makes valid objects of a kind, as a server would give them back: parts given later win.
 *
 *     pod({ metadata: { name: 'a' }, spec: { nodeName: 'n1' })
 */
function builder<O extends ApiObject>(kind: KindDef<O>, name: string, body: Omit<Part<O>, keyof ApiObject>) {
  return (...parts: readonly Part<O>[]): O => {
    const namespaced = kind.scope === 'Namespaced' ? { namespace: 'default' } : {}
    const bare: ApiObject = { apiVersion: kind.apiVersion, kind: kind.kind, metadata: { name, ...namespaced }, ...body }
    // `body` gives each kind what its schema requires; builders.test.ts proves it.
    const { metadata, ...made } = parts.reduce((base, part) => override(base, part), bare as O)
    const uid = [kind.plural, metadata.namespace, metadata.name].filter((one) => one !== undefined).join('.')
    return { ...made, metadata: { uid, creationTimestamp: '2026-01-01T00:00:00Z', ...metadata } } as unknown as O
  }
}

const labels = { app: 'web' }
const template = { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'web:1' }] } }

export const namespace = builder(Namespace, 'default', { spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } })
/** A node that is ready, with 4 CPUs and 8 GiB. */
export const node = builder(Node, 'node-1', {
  spec: { podCIDR: '10.42.0.0/24', podCIDRs: ['10.42.0.0/24'] },
  status: {
    capacity: { cpu: '4', memory: '8Gi', 'ephemeral-storage': '100Gi', pods: '110' },
    allocatable: { cpu: '4', memory: '8Gi', 'ephemeral-storage': '100Gi', pods: '110' },
    addresses: [
      { type: 'InternalIP', address: '192.0.2.1' },
      { type: 'Hostname', address: 'node-1' },
    ],
    conditions: [{ type: 'Ready', status: 'True', reason: 'AgentReady', lastTransitionTime: '2026-01-01T00:00:00Z' }],
  },
})
export const pod = builder(Pod, 'web', {
  spec: { containers: [{ name: 'web', image: 'web:1' }] },
  status: { phase: 'Pending', qosClass: 'BestEffort' },
})
export const configMap = builder(ConfigMap, 'config', { data: { key: 'value' } })
export const secret = builder(Secret, 'secret', { type: 'Opaque', data: { key: 'dmFsdWU=' } })
export const service = builder(Service, 'web', {
  spec: { selector: labels, ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }] },
})
export const endpointSlice = builder(EndpointSlice, 'web-1', {
  addressType: 'IPv4',
  endpoints: [{ addresses: ['10.42.0.2'], conditions: { ready: true } }],
  ports: [{ name: '', port: 8080, protocol: 'TCP' }],
})
export const serviceAccount = builder(ServiceAccount, 'default', {})
export const event = builder(Event, 'web.1', {
  involvedObject: { kind: 'Pod', apiVersion: 'v1', namespace: 'default', name: 'web' },
  reason: 'Started',
  message: 'started container web',
  type: 'Normal',
  count: 1,
})
export const lease = builder(Lease, 'node-1', { spec: { holderIdentity: 'node-1', leaseDurationSeconds: 40 } })
export const replicaSet = builder(ReplicaSet, 'web-1', { spec: { replicas: 1, selector: { matchLabels: labels }, template } })
export const deployment = builder(Deployment, 'web', { spec: { replicas: 1, selector: { matchLabels: labels }, template } })

/** By kind, for tests that walk all kinds. */
export const builders: Readonly<Record<string, () => ApiObject>> = {
  Namespace: namespace,
  Node: node,
  Pod: pod,
  ConfigMap: configMap,
  Secret: secret,
  Service: service,
  EndpointSlice: endpointSlice,
  ServiceAccount: serviceAccount,
  Event: event,
  Lease: lease,
  ReplicaSet: replicaSet,
  Deployment: deployment,
}
