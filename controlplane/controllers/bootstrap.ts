import type { KindDef } from '../../api/kinds/define.ts'
import { EndpointSlice } from '../../api/kinds/endpoint-slice.ts'
import { Namespace } from '../../api/kinds/namespace.ts'
import { Service } from '../../api/kinds/service.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { isAlreadyExists, isNotFound } from '../../api/meta/status.ts'
import type { Client } from '../../client/client.ts'
import type { AbortOptions } from '../../lib/async.ts'

const namespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

export interface BootstrapOptions extends AbortOptions {
  readonly client: Client
  /** Address and port of the API server as pods reach it, and the address of the service that stands before it. */
  readonly apiServer?: { readonly addresses: readonly string[]; readonly port: number; readonly clusterIP: string }
}

/** What every cluster has: the default namespaces, and the service `kubernetes` that leads to the API server. Repeatable. */
export async function bootstrap({ client, apiServer, signal }: BootstrapOptions): Promise<void> {
  for (const name of namespaces) {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
    await ensure(Namespace, namespace, { client, signal })
  }
  if (apiServer === undefined) return
  await ensure(Service, kubernetesService(apiServer.clusterIP), { client, signal })
  await writeSlice(client, apiServer, { signal })
}

/** Looks first: making it anew would ask for an address that it has already, which is refused before its name is. */
async function ensure<O extends ApiObject>(
  kind: KindDef<O>,
  object: O,
  { client, signal }: Pick<BootstrapOptions, 'client' | 'signal'>,
): Promise<void> {
  const { namespace, name = '' } = object.metadata
  try {
    await client.get(kind, { ...(namespace === undefined ? {} : { namespace }), name }, { signal })
  } catch (err) {
    if (!isNotFound(err)) throw err
    await client.create(kind, object, { signal }).catch((cause: unknown) => {
      if (!isAlreadyExists(cause)) throw cause // Another control plane was faster.
    })
  }
}

const labels = { component: 'apiserver', provider: 'kubernetes' }

function kubernetesService(clusterIP: string): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name: 'kubernetes', labels },
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      // The slice below says the real port.
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: 6443 }],
    },
  }
}

type ApiServer = NonNullable<BootstrapOptions['apiServer']>

async function writeSlice(client: Client, { addresses, port }: ApiServer, { signal }: AbortOptions): Promise<void> {
  const ref = { namespace: 'default', name: 'kubernetes' }
  const slice: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...ref, labels: { ...labels, 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    ports: [{ name: 'https', protocol: 'TCP', port }],
  }
  try {
    const { endpoints, ports } = slice
    await client.patch(EndpointSlice, ref, { type: 'merge', body: { endpoints, ports } }, { signal })
  } catch (err) {
    if (!isNotFound(err)) throw err
    await client.create(EndpointSlice, slice, { signal })
  }
}
