import type { Identity, Transport } from '../../api/meta/request.ts'
import type { Fence, Registry } from './options.ts'

/**
 * The registry as a transport: what it reads are the watch cache's own frozen objects. `fence` is asked at every write,
 * so that a controller writes as the leader it is at that moment.
 */
export function inProcess(registry: Registry, identity: Identity, fence: () => Fence | undefined = () => undefined): Transport {
  return {
    request: (request, { signal }) => registry.request(identity, request, { signal, fence: fence() }),
    watch: (request, opts) => registry.watch(identity, request, opts),
  }
}
