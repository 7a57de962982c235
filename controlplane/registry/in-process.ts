import type { Identity, Transport } from '../../api/meta/request.ts'
import { endlessTurns, type Turns } from '../../lib/turns.ts'
import type { Fence, Registry } from './options.ts'

/**
 * The registry as a transport: what it reads are the watch cache's own frozen objects. `fence` is asked at every write,
 * so that a controller writes as the leader it is at that moment.
 */
export function inProcess(
  registry: Registry,
  identity: Identity,
  { fence = () => undefined, turns = endlessTurns }: { readonly fence?: () => Fence | undefined; readonly turns?: Turns } = {},
): Transport {
  return {
    async request(request, { signal }) {
      // Before it may have to wait: whoever leads then may be somebody else than now.
      const held = fence()
      const turn = turns.pass()
      if (turn !== undefined) await turn
      return await registry.request(identity, request, { signal, fence: held })
    },
    watch: (request, opts) => registry.watch(identity, request, opts),
  }
}
