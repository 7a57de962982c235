import type { ContainerState } from '../../agent/runtime/runtime.ts'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import { Deployment } from '../../api/kinds/deployment.ts'
import { EndpointSlice } from '../../api/kinds/endpoint-slice.ts'
import { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { ReplicaSet } from '../../api/kinds/replica-set.ts'
import { Secret } from '../../api/kinds/secret.ts'
import { Service } from '../../api/kinds/service.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { ServiceTable } from '../../api/proto/agent.ts'
import { kindPrefix, parseObjectKey } from '../../controlplane/store/keys.ts'
import type { MemoryStore } from '../../controlplane/store/memory.ts'
import type { KeyValue } from '../../controlplane/store/store.ts'
import { objectPrefix } from '../../controlplane/store/store.ts'
import type { SimNode } from './agent.ts'
import { sharedDecode } from './decode.ts'

export type SeenContainer = ContainerState & {
  readonly node: string
  /** Of the container's environment. */
  readonly env: ReadonlyMap<string, string>
}

/** Everything there is. */
export interface Seen {
  readonly nodes: readonly Node[]
  readonly deployments: readonly Deployment[]
  readonly sets: readonly ReplicaSet[]
  readonly pods: readonly Pod[]
  readonly slices: readonly EndpointSlice[]
  readonly services: readonly Service[]
  readonly configs: readonly (ConfigMap | Secret)[]
  /** Names of namespaces. */
  readonly namespaces: ReadonlySet<string>
  /** What lies in a namespace, as `plural namespace/name`. */
  readonly placed: readonly { readonly namespace: string; readonly what: string }[]
  readonly containers: readonly SeenContainer[]
  /** What each node's packet filter was told. */
  readonly tables: ReadonlyMap<string, ServiceTable | undefined>
  /** Content of volumes by `node pod/volume/path`. */
  readonly files: ReadonlyMap<string, string>
}

/** Reads it past all processes. */
export async function look(store: MemoryStore, nodes: readonly SimNode[]): Promise<Seen> {
  const { signal } = new AbortController()
  const { items } = await store.list({ prefix: objectPrefix, signal })
  const all = <O extends ApiObject>(kind: KindDef<O>): readonly O[] => {
    const prefix = kindPrefix(kind)
    return items.filter(({ key }) => key.startsWith(prefix)).map((item) => sharedDecode(item) as O)
  }
  const containers = await Promise.all(nodes.map(containersOf))
  return {
    nodes: all(Node),
    deployments: all(Deployment),
    sets: all(ReplicaSet),
    pods: all(Pod),
    slices: all(EndpointSlice),
    services: all(Service),
    configs: [...all(ConfigMap), ...all(Secret)],
    ...placesOf(items),
    containers: containers.flat(),
    tables: new Map(nodes.map(({ name, table }) => [name, table])),
    files: new Map(nodes.flatMap(({ name, volumes }) => [...volumes.files].map(([path, text]) => [`${name} ${path}`, text]))),
  }
}

async function containersOf({ name, engine }: SimNode): Promise<readonly SeenContainer[]> {
  const states = await engine.states()
  return states.map((state) => {
    const env = new Map(engine.runtime.spec(state.id).env.map((one) => [one.name, one.value]))
    return { ...state, node: name, env }
  })
}

function placesOf(items: readonly KeyValue[]): Pick<Seen, 'namespaces' | 'placed'> {
  const namespaces = new Set<string>()
  const placed: { readonly namespace: string; readonly what: string }[] = []
  for (const { key } of items) {
    const place = parseObjectKey(key)
    if (place?.plural === 'namespaces') namespaces.add(place.name)
    else if (place?.namespace !== undefined)
      placed.push({ namespace: place.namespace, what: `${place.plural} ${place.namespace}/${place.name}` })
  }
  return { namespaces, placed }
}
