import { EndpointSlice } from '../../api/kinds/endpoint-slice.ts'
import { Namespace } from '../../api/kinds/namespace.ts'
import { Service } from '../../api/kinds/service.ts'
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
  const unlessThere = async (work: Promise<unknown>): Promise<void> => {
    try {
      await work
    } catch (err) {
      if (!isAlreadyExists(err)) throw err
    }
  }
  for (const name of namespaces) {
    await unlessThere(client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, { signal }))
  }
  if (apiServer === undefined) return
  await unlessThere(client.create(Service, kubernetesService(apiServer.clusterIP), { signal }))
  await writeSlice(client, apiServer, { signal })
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
