import type { ApiResponse, Identity, Transport } from '../../api/meta/request.ts'
import type { Slots } from '../../lib/slots.ts'
import type { Fence, Registry } from './options.ts'

export interface InProcessOptions {
  readonly fence?: () => Fence | undefined
  /** Bounds the writes under way, of all that are given the same. */
  readonly writes?: Slots
}

const reads: ReadonlySet<string> = new Set(['get', 'list', 'watch'])

/**
 * The registry as a transport: what it reads are the watch cache's own frozen objects. `fence` is asked at every write,
 * so that a controller writes as the leader it is at that moment.
 */
export function inProcess(
  registry: Registry,
  identity: Identity,
  { fence = () => undefined, writes }: InProcessOptions = {},
): Transport {
  return {
    request(request, { signal }) {
      // Before it may have to wait: whoever leads then may be somebody else than now.
      const opts = { signal, fence: fence() }
      const ask = (): Promise<ApiResponse> => registry.request(identity, request, opts)
      return writes === undefined || reads.has(request.verb) ? ask() : writes.run(opts, ask)
    },
    watch: (request, opts) => registry.watch(identity, request, opts),
  }
}
