import { electionPrefix, rootPrefix, type Store } from './store.ts'

/** Of a key that a fenced transaction wrote first: holds the election in which its writer believed. */
export const fenceMarkOf = (key: string): string => `${rootPrefix}fence-marks${key}`

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
      const [first] = writes
      if (fence === undefined || !('createRevision' in fence) || first === undefined)
        return await store.commit({ conditions, writes }, opts)
      const mark = {
        put: fenceMarkOf('put' in first ? first.put : first.delete),
        value: new TextEncoder().encode(String(fence.createRevision)),
      }
      return await store.commit({ conditions, writes: [...writes, mark] }, opts)
    },
  }
}
