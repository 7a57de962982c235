import type { WatchBatch, WatchRequest } from '../../api/meta/request.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { Selection, WatchCache } from '../store/watch-cache.ts'
import type { WatchOptions } from './options.ts'
import { revisionOf } from './read.ts'
import { selectionOf } from './selectors.ts'

/** Events of what the selectors match: an object that comes to match is ADDED, one that no longer does is DELETED. */
export function watchObjects(cache: WatchCache, request: WatchRequest, opts: WatchOptions): AsyncIterable<WatchBatch> {
  const { resourceVersion } = request
  // Looked at before the first read, so that a wrong request is refused as a whole.
  const selection = selectionOf(request.kind, request)
  const after = resourceVersion === undefined || resourceVersion === '' ? 0 : revisionOf(resourceVersion)
  return new Following(cache, request, { selection, after, ...opts })
}

/** What is there, then the cache's own batches. No generator: each step between the two would cost every event. */
class Following implements AsyncIterableIterator<WatchBatch, void, void> {
  readonly #cache: WatchCache
  readonly #request: WatchRequest
  readonly #options: WatchOptions & { readonly selection: Selection | undefined; readonly after: number }
  #batches: AsyncIterator<WatchBatch> | undefined

  constructor(
    cache: WatchCache,
    request: WatchRequest,
    options: WatchOptions & { selection: Selection | undefined; after: number },
  ) {
    this.#cache = cache
    this.#request = request
    this.#options = options
  }

  next(): Promise<IteratorResult<WatchBatch, void>> {
    return this.#batches === undefined ? this.#begin() : this.#batches.next()
  }

  async return(): Promise<IteratorResult<WatchBatch, void>> {
    await this.#batches?.return?.()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #begin(): Promise<IteratorResult<WatchBatch, void>> {
    const { kind, namespace } = this.#request
    const { selection, after, rarely = false, signal } = this.#options
    await this.#fresh({ signal })
    const afterRevision = after > 0 ? after : this.#cache.revision
    const options = { afterRevision, namespace, selection, rarely, signal }
    const batches = this.#cache.watch(kind, options)[Symbol.asyncIterator]()
    this.#batches = batches
    if (after > 0) return await batches.next()
    const all = this.#cache.list(kind, namespace)
    const found = selection === undefined ? all : all.filter(selection.matches)
    return { done: false, value: { events: found.map((object) => ({ type: 'ADDED', object })), revision: afterRevision } }
  }

  async #fresh(opts: AbortOptions): Promise<void> {
    const { after } = this.#options
    if (after > 0) await this.#cache.waitFor(after, opts)
    else await (this.#request.resourceVersion === '0' ? this.#cache.ready(opts) : this.#cache.waitForCurrent(opts))
  }
}
