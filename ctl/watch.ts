import type { KindDef } from '../api/kinds/define.ts'
import type { WatchEvent } from '../api/meta/request.ts'
import { isExpired } from '../api/meta/status.ts'
import { listAll, type Query } from './get-objects.ts'

/**
 * Follows changes until `see` gives a value, or the signal aborts (undefined then). A watch that the server ended is
 * resumed; after a gap everything is listed and given as MODIFIED.
 */
export async function watchObjects<T>(
  kind: KindDef,
  from: Query & { readonly resourceVersion: string },
  see: (events: readonly WatchEvent[]) => T | undefined,
): Promise<T | undefined> {
  const position = { resourceVersion: from.resourceVersion }
  while (!from.signal.aborted) {
    try {
      const result = await watchOnce(kind, from, position, see)
      if (result !== undefined) return result
    } catch (err) {
      if (from.signal.aborted) return undefined
      if (!isExpired(err)) throw err
      const listed = await listAll(kind, from)
      position.resourceVersion = listed.resourceVersion
      const result = see(listed.items.map((object) => ({ type: 'MODIFIED', object })))
      if (result !== undefined) return result
    }
  }
  return undefined
}

async function watchOnce<T>(
  kind: KindDef,
  { client, signal, namespace, labelSelector, fieldSelector }: Query,
  position: { resourceVersion: string },
  see: (events: readonly WatchEvent[]) => T | undefined,
): Promise<T | undefined> {
  const batches = client.watch(kind, {
    signal,
    resourceVersion: position.resourceVersion,
    ...(kind.scope === 'Namespaced' && namespace !== undefined ? { namespace } : {}),
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  })
  for await (const batch of batches) {
    position.resourceVersion = String(batch.revision)
    const result = batch.events.length === 0 ? undefined : see(batch.events)
    if (result !== undefined) return result
  }
  return undefined
}
