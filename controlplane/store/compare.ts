import type { AbortOptions } from '../../lib/async.ts'
import type { CacheState } from './cache-state.ts'
import type { WatchHub } from './cache-watchers.ts'
import { objectKey, parseObjectKey } from './keys.ts'
import { bucketOf } from './object-index.ts'
import { type ListResult, objectPrefix, type Store } from './store.ts'

const pageSize = 500

/** The store was wiped or restored, or its data exchanged: what was known of it is of another history. */
export class OtherHistory extends Error {
  override readonly name = 'OtherHistory'
}

/** One list in pages, all of the same revision. */
export async function* pages(
  store: Store,
  { prefix, keysOnly = false, signal }: AbortOptions & { prefix: string; keysOnly?: boolean },
): AsyncGenerator<ListResult, void, void> {
  let after: string | undefined
  let revision: number | undefined
  for (;;) {
    const page = await store.list({
      prefix,
      limit: pageSize,
      keysOnly,
      signal,
      ...(after === undefined ? {} : { after }),
      ...(revision === undefined ? {} : { revision }),
    })
    yield page
    if (page.remaining === 0) return
    revision = page.revision
    after = page.items.at(-1)?.key
  }
}

interface CompareOptions extends AbortOptions {
  readonly store: Store
  readonly state: CacheState
  readonly hub: WatchHub
  /** How far the cache had come when this began. */
  readonly revision: number
  waitFor(revision: number): Promise<void>
}

/** The keys whose state in the cache is neither the store's nor newer. Only keys travel, not values. */
export async function compareWithStore({
  store,
  state,
  hub,
  revision,
  waitFor,
  signal,
}: CompareOptions): Promise<readonly string[]> {
  const stored = new Map<string, number>()
  let listed = 0
  for await (const page of pages(store, { prefix: objectPrefix, keysOnly: true, signal })) {
    listed = page.revision
    if (listed < revision) throw new OtherHistory(`the store is at revision ${listed}, and was at ${revision} before`)
    for (const item of page.items) stored.set(item.key, item.modRevision)
  }
  await waitFor(listed)
  return differences(stored, { state, listed, deletedSince: deletions(hub, listed) })
}

function differences(
  stored: ReadonlyMap<string, number>,
  { state, listed, deletedSince }: { state: CacheState; listed: number; deletedSince: (key: string) => boolean },
): readonly string[] {
  const isSame = (key: string, modRevision: number): boolean => {
    const known = state.revisionOf(key)
    // Within one history the revision of a key never goes back.
    if (known !== undefined && known > modRevision && known <= listed)
      throw new OtherHistory(`"${key}" is at revision ${modRevision}, and was at ${known} before`)
    return known === undefined ? deletedSince(key) : known === modRevision || known > listed
  }
  const wrong = [...stored].filter(([key, modRevision]) => !isSame(key, modRevision)).map(([key]) => key)
  const ghosts = state.keys().filter((key) => (state.revisionOf(key) ?? 0) <= listed && !stored.has(key))
  return [...wrong, ...ghosts]
}

/** Whether a key was deleted after `revision`, or may have been. */
function deletions(hub: WatchHub, revision: number): (key: string) => boolean {
  const byBucket = new Map<string, ReadonlySet<string> | undefined>()
  return (key) => {
    const place = parseObjectKey(key)
    if (place === undefined) return true
    const bucket = bucketOf(place)
    if (!byBucket.has(bucket)) {
      const events = hub.after(bucket, revision)?.filter((event) => event.type === 'DELETED')
      const keys = events?.map(({ object: { metadata } }) => objectKey(place, metadata.namespace, metadata.name ?? ''))
      byBucket.set(bucket, keys === undefined ? undefined : new Set(keys))
    }
    return byBucket.get(bucket)?.has(key) ?? true
  }
}
