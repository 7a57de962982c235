import { kinds } from '../../api/kinds/registry.ts'
import { adminIdentity } from '../../api/meta/request.ts'
import type { Client } from '../../client/client.ts'
import { createClient } from '../../client/typed-client.ts'
import { Bell } from '../../lib/async.ts'
import { silentLog } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { seededRandom } from '../../lib/random.ts'
import { inProcess } from '../registry/in-process.ts'
import { createRegistry } from '../registry/registry.ts'
import { createWatchCache } from '../store/cache.ts'
import type { Store } from '../store/store.ts'
import type { World } from './world.ts'

/** Another API server on a world's store, whose watch cache hears nothing while it is held. */
export interface LaggingServer extends AsyncDisposable {
  readonly client: Client
  hold(): void
  release(): void
}

export async function laggingServer({ store, clock }: Pick<World, 'store' | 'clock'>): Promise<LaggingServer> {
  const stop = new AbortController()
  const { signal } = stop
  const bell = new Bell()
  let isHeld = false
  const lagging: Store = {
    get: (...args) => store.get(...args),
    list: (...args) => store.list(...args),
    commit: (...args) => store.commit(...args),
    campaign: (...args) => store.campaign(...args),
    compact: (...args) => store.compact(...args),
    async *watch(options) {
      for await (const batch of store.watch(options)) {
        while (isHeld) await bell.wait({ signal })
        yield batch
      }
    },
  }
  const parts = { store: lagging, kinds, clock, log: silentLog }
  const cache = createWatchCache({ ...parts, metrics: createMetrics('skiff_') })
  const running = cache.run(signal)
  await cache.ready({ signal })
  const network = { serviceCidr: '10.43.0.0/16', nodePortRange: '30000-32767' }
  const registry = createRegistry({ ...parts, ...network, cache, random: seededRandom(2) })
  return {
    client: createClient(inProcess(registry, adminIdentity)),
    hold: () => {
      isHeld = true
    },
    release: () => {
      isHeld = false
      bell.ring()
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}
