import { sleep } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Service } from '../../lib/service.ts'
import { rootPrefix, type Store } from './store.ts'

export interface CompactorOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** Reads of the past and watches that resume can go back this far. */
  readonly keepMs?: number
  /** At most so many revisions, however young: a burst of writes must not fill etcd. */
  readonly keepRevisions?: number
  readonly everyMs?: number
}

/** Forgets the past, which etcd would otherwise keep until it is full. Harmless when several do it. */
export function createCompactor(options: CompactorOptions): Service {
  const { store, clock, log, keepMs = 300_000, keepRevisions = 50_000, everyMs = 60_000 } = options
  return {
    name: 'compactor',
    async run(signal) {
      const seen: { readonly atMs: number; readonly revision: number }[] = []
      let compacted = 0
      while (!signal.aborted) {
        const { revision } = await store.get(rootPrefix, { signal })
        const nowMs = clock.monotonicMs()
        seen.push({ atMs: nowMs, revision })
        while ((seen[1]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs - keepMs) seen.shift()
        const [oldest] = seen
        const byAge = oldest !== undefined && oldest.atMs <= nowMs - keepMs ? oldest.revision : 0
        const target = Math.max(byAge, revision - keepRevisions)
        if (target > compacted) {
          await store.compact(target, { signal })
          compacted = target
          log.debug('store compacted', { revision: target })
        }
        await sleep(clock, everyMs, signal).catch(() => undefined) // Aborted: the loop ends.
      }
    },
  }
}
