import { ConfigMap } from './config-map.ts'
import type { KindDef } from './define.ts'
import { Deployment } from './deployment.ts'
import { EndpointSlice } from './endpoint-slice.ts'
import { Event } from './event.ts'
import { Lease } from './lease.ts'
import { Namespace } from './namespace.ts'
import { Node } from './node.ts'
import { Pod } from './pod.ts'
import { ReplicaSet } from './replica-set.ts'
import { Secret } from './secret.ts'
import { Service } from './service.ts'
import { ServiceAccount } from './service-account.ts'

/** The one list of kinds. Everything that serves, stores, prints or documents kinds walks it. */
export const kinds: readonly KindDef[] = [
  Namespace,
  Node,
  Pod,
  ConfigMap,
  Secret,
  Service,
  EndpointSlice,
  ServiceAccount,
  Event,
  Lease,
  ReplicaSet,
  Deployment,
] as unknown as readonly KindDef[]

const byResource = new Map(kinds.map((kind) => [`${kind.group}/${kind.version}/${kind.plural}`, kind]))
const byGroupVersionKind = new Map(kinds.map((kind) => [`${kind.apiVersion}/${kind.kind}`, kind]))

export function kindByResource(group: string, version: string, plural: string): KindDef | undefined {
  return byResource.get(`${group}/${version}/${plural}`)
}

/** `apiVersion` as on the object, as in `apps/v1`. */
export function kindOf(apiVersion: string, kind: string): KindDef | undefined {
  return byGroupVersionKind.get(`${apiVersion}/${kind}`)
}
