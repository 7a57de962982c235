import { kinds } from '../../api/kinds/registry.ts'
import { adminIdentity, type Identity } from '../../api/meta/request.ts'
import type { Client } from '../../client/client.ts'
import { createClient } from '../../client/typed-client.ts'
import { type Clock, FakeClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { seededRandom } from '../../lib/random.ts'
import { inProcess } from '../registry/in-process.ts'
import type { Fence, Registry } from '../registry/options.ts'
import { createRegistry } from '../registry/registry.ts'
import { createWatchCache } from '../store/cache.ts'
import { objectKey } from '../store/keys.ts'
import { MemoryStore } from '../store/memory.ts'
import type { WatchCache } from '../store/watch-cache.ts'

export interface World<C extends Clock = FakeClock> extends AsyncDisposable {
  readonly clock: C
  readonly store: MemoryStore
  readonly cache: WatchCache
  readonly registry: Registry
  /** As the administrator. */
  readonly client: Client
  as(identity: Identity, fence?: () => Fence | undefined): Client
  /** Aborted at the end. */
  readonly signal: AbortSignal
}

/** Everything behind the API in one process on an empty memory store: the real cache and the real registry. */
export async function createWorld(): Promise<World>
export async function createWorld<C extends Clock>(options: {
  readonly clock: C
  readonly seed?: number
  readonly historyPerKind?: number
}): Promise<World<C>>
export async function createWorld({
  clock = new FakeClock(),
  seed = 1,
  historyPerKind = 10_000,
}: {
  clock?: Clock
  seed?: number
  historyPerKind?: number
} = {}): Promise<World<Clock>> {
  const stop = new AbortController()
  const { signal } = stop
  const store = new MemoryStore()
  const cache = createWatchCache({ store, kinds, clock, log: silentLog, metrics: createMetrics('skiff_'), historyPerKind })
  const running = cache.run(signal)
  await cache.ready({ signal })
  const network = { serviceCidr: '10.43.0.0/16', nodePortRange: '30000-32767' }
  const registry = createRegistry({ store, cache, clock, random: seededRandom(seed), log: silentLog, kinds, ...network })
  const as: World['as'] = (identity, fence) => createClient(inProcess(registry, identity, fence === undefined ? {} : { fence }))
  const client = as(adminIdentity)
  for (const name of ['default', 'kube-system', 'kube-node-lease']) {
    const request = { verb: 'create', kind: kinds[0], body: { metadata: { name } } } as const
    if (request.kind !== undefined) await registry.request(adminIdentity, { ...request, kind: request.kind }, { signal })
  }
  return {
    clock,
    store,
    cache,
    registry,
    client,
    as,
    signal,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}

/** Where an object lies in the store, for tests that damage it there. */
export const placeInStore: typeof objectKey = objectKey
