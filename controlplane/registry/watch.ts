import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { WatchBatch, WatchEvent, WatchRequest } from '../../api/meta/request.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { tombstone } from '../store/codec.ts'
import type { CacheEvent, WatchCache } from '../store/watch-cache.ts'
import { revisionOf } from './read.ts'
import { type Matcher, matcherOf } from './selectors.ts'

/** Events of what the selectors match: an object that comes to match is ADDED, one that no longer does is DELETED. */
export async function* watchObjects(
  cache: WatchCache,
  request: WatchRequest,
  { signal }: AbortOptions,
): AsyncGenerator<WatchBatch, void, void> {
  const { kind, namespace, resourceVersion } = request
  const matches = matcherOf(kind, request)
  const asked = resourceVersion === undefined || resourceVersion === '' ? 0 : revisionOf(resourceVersion)
  if (asked > 0) await cache.waitFor(asked, { signal })
  else await (resourceVersion === '0' ? cache.ready({ signal }) : cache.waitForCurrent({ signal }))
  const afterRevision = asked > 0 ? asked : cache.revision
  if (asked === 0) {
    const all = cache.list(kind, namespace)
    const found = matches === undefined ? all : all.filter(matches)
    yield { events: found.map((object) => ({ type: 'ADDED', object })), revision: afterRevision }
  }
  for await (const batch of cache.watch(kind, { afterRevision, signal, ...(namespace === undefined ? {} : { namespace }) })) {
    yield matches === undefined
      ? batch
      : { events: batch.events.flatMap((event) => seenBy(matches, event)), revision: batch.revision }
  }
}

function seenBy(matches: Matcher, { type, object, previous, revision }: CacheEvent): readonly WatchEvent<ApiObject>[] {
  const did = previous !== undefined && matches(previous)
  if (type === 'DELETED') return did || (previous === undefined && matches(object)) ? [{ type, object }] : []
  const does = matches(object)
  if (does) return [{ type: did ? 'MODIFIED' : 'ADDED', object }]
  return did ? [{ type: 'DELETED', object: tombstone(previous, revision) }] : []
}
