import { qualified } from '../../api/meta/status.ts'
import type { Metrics } from '../../lib/metrics.ts'
import type { CacheState } from './cache-state.ts'
import type { KeyedKind } from './keys.ts'
import { bucketOf } from './object-index.ts'

export type CacheMetrics = ReturnType<typeof cacheMetrics>

export function cacheMetrics(metrics: Metrics, kinds: readonly KeyedKind[]) {
  const nameOf = (kind: KeyedKind): string => qualified({ ...kind, kind: '' })
  const objects = metrics.gauge('watch_cache_objects', 'Objects held, by resource', { resource: [...new Set(kinds.map(nameOf))] })
  const readers = metrics.gauge('watch_cache_watchers', 'Open watches on the cache')
  const revisions = metrics.gauge('watch_cache_revision', 'Revision of the store that the cache has reached')
  const unreadable = metrics.gauge('watch_cache_unreadable_objects', 'Stored values that could not be decoded')
  return {
    lists: metrics.counter('watch_cache_lists_total', 'Full lists of the store', { reason: ['start', 'expired'] }),
    compares: metrics.counter('watch_cache_compares_total', 'Comparisons of the cache with the store', {
      result: ['same', 'different', 'failed'],
    }),
    repairs: metrics.counter('watch_cache_repairs_total', 'Objects that the watch had missed a change of'),
    cut: metrics.counter('watch_cache_watchers_cut_total', 'Watches cut off because their reader was too slow'),
    observe({ state, watchers, revision }: { state: CacheState; watchers: number; revision: number }): void {
      for (const kind of kinds) objects.set(state.index.count(bucketOf(kind)), { resource: nameOf(kind) })
      readers.set(watchers)
      revisions.set(revision)
      unreadable.set(state.unreadableCount)
    },
  }
}
