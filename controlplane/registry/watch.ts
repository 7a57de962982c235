import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { WatchBatch, WatchEvent, WatchRequest } from '../../api/meta/request.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { tombstone } from '../store/codec.ts'
import type { CacheEvent, WatchCache } from '../store/watch-cache.ts'
import { revisionOf } from './read.ts'
import { type Matcher, matcherOf } from './selectors.ts'

/** Events of what the selectors match: an object that comes to match is ADDED, one that no longer does is DELETED. */
export function watchObjects(cache: WatchCache, request: WatchRequest, opts: AbortOptions): AsyncIterable<WatchBatch> {
  const { resourceVersion } = request
  // Looked at before the first read, so that a wrong request is refused as a whole.
  const matches = matcherOf(request.kind, request)
  const after = resourceVersion === undefined || resourceVersion === '' ? 0 : revisionOf(resourceVersion)
  return follow(cache, request, { matches, after, ...opts })
}

async function* follow(
  cache: WatchCache,
  { kind, namespace, resourceVersion }: WatchRequest,
  { matches, after, signal }: AbortOptions & { matches: Matcher | undefined; after: number },
): AsyncGenerator<WatchBatch, void, void> {
  if (after > 0) await cache.waitFor(after, { signal })
  else await (resourceVersion === '0' ? cache.ready({ signal }) : cache.waitForCurrent({ signal }))
  const afterRevision = after > 0 ? after : cache.revision
  if (after === 0) {
    const all = cache.list(kind, namespace)
    const found = matches === undefined ? all : all.filter(matches)
    yield { events: found.map((object) => ({ type: 'ADDED', object })), revision: afterRevision }
  }
  for await (const batch of cache.watch(kind, { afterRevision, signal, ...(namespace === undefined ? {} : { namespace }) })) {
    const { revision } = batch
    yield matches === undefined ? batch : { events: batch.events.flatMap((event) => seenBy(matches, event)), revision }
  }
}

function seenBy(matches: Matcher, { type, object, previous, revision }: CacheEvent): readonly WatchEvent<ApiObject>[] {
  const did = previous !== undefined && matches(previous)
  if (type === 'DELETED') return did || (previous === undefined && matches(object)) ? [{ type, object }] : []
  const does = matches(object)
  if (does) return [{ type: did ? 'MODIFIED' : 'ADDED', object }]
  return did ? [{ type: 'DELETED', object: tombstone(previous, revision) }] : []
}
