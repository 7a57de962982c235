import { kinds } from '../../api/kinds/registry.ts'
import { adminIdentity } from '../../api/meta/request.ts'
import type { Client } from '../../client/client.ts'
import { createClient } from '../../client/typed-client.ts'
import { type CoreOptions, composeCore } from '../../controlplane/core.ts'
import { inProcess } from '../../controlplane/registry/in-process.ts'
import { createRegistry } from '../../controlplane/registry/registry.ts'
import { createWatchCache } from '../../controlplane/store/cache.ts'
import type { Store } from '../../controlplane/store/store.ts'
import { Backoff } from '../../lib/backoff.ts'
import type { Log } from '../../lib/log.ts'
import { superviseGroups } from '../../lib/service.ts'
import { sharedDecode } from './decode.ts'
import type { SimNet } from './net.ts'
import { noMetrics } from './no-metrics.ts'
import type { SimProcess } from './process.ts'

const serviceCidr = '10.43.0.0/16'
const nodePorts = '30000-32767'
export const nodeGraceMs = 40_000

export interface SimControlPlaneOptions {
  readonly process: SimProcess
  readonly store: Store
  /** Of the store and its log. */
  readonly position: NonNullable<CoreOptions['position']>
  readonly net: SimNet
  readonly log: Log
  /** Ends it in good order. */
  readonly signal: AbortSignal
}

const backoffs = { baseMs: 200, maxMs: 10_000, resetAfterMs: 60_000 }

/** A control plane without HTTPS: the product's own composition on the shared store. */
export async function runSimControlPlane({ process, store, position, net, log, signal }: SimControlPlaneOptions): Promise<void> {
  const { clock, random, name } = process
  const listen = net.listen(name, process)
  const core = composeCore(
    {
      store,
      position,
      listen,
      serviceCidr,
      decode: sharedDecode,
      nodePorts,
      nodeGraceMs,
      identity: name,
      clusterCidr: '10.42.0.0/16',
      apiServer: { addresses: ['192.0.2.250'], port: 6443, clusterIP: '10.43.0.1' },
    },
    { clock, random, log, metrics: noMetrics },
  )
  const backoff = new Backoff({ ...backoffs, clock, random })
  await superviseGroups([[core.cache], [...core.informers], [core.leader]], { clock, log, backoff, signal, drainMs: 10_000 })
}

/** An API server that never leads: what the user talks to. */
export function runSimApi({ process, store, log, signal }: Omit<SimControlPlaneOptions, 'net' | 'position'>): Client {
  const { clock, random } = process
  const cache = createWatchCache({ store, kinds, clock, log, metrics: noMetrics, decode: sharedDecode })
  const registry = createRegistry({ store, cache, clock, random, log, kinds, serviceCidr, nodePortRange: nodePorts })
  const backoff = new Backoff({ ...backoffs, clock, random })
  void superviseGroups([[cache]], { clock, log, backoff, signal, drainMs: 1000 })
  return createClient(inProcess(registry, adminIdentity))
}
