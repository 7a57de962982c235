import { electionPrefix, rootPrefix, type Store } from './store.ts'

/** Holds the election in which the writer of the newest fenced write believed. */
export const fenceMarkKey = `${rootPrefix}fence-mark`

/**
 * `store` whose fenced writes leave in the history of etcd, beside what they write and in the same revision, who their
 * writer took for the leader. For checks of that history only: it makes each of these writes larger.
 */
export function markingFences(store: Store): Store {
  return {
    get: (key, opts) => store.get(key, opts),
    list: (options) => store.list(options),
    watch: (options) => store.watch(options),
    campaign: (options) => store.campaign(options),
    compact: (revision, opts) => store.compact(revision, opts),
    async commit({ conditions, writes }, opts) {
      const fence = conditions.find((one) => 'createRevision' in one && one.key.startsWith(electionPrefix))
      if (fence === undefined || !('createRevision' in fence)) return await store.commit({ conditions, writes }, opts)
      const mark = { put: fenceMarkKey, value: new TextEncoder().encode(String(fence.createRevision)) }
      return await store.commit({ conditions, writes: [...writes, mark] }, opts)
    },
  }
}
