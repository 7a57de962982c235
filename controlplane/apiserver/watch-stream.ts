import type { Http2ServerResponse } from 'node:http2'
import { toTable } from '../../api/derive/table.ts'
import { jsonOf } from '../../api/meta/json-of.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { WatchBatch, WatchEvent } from '../../api/meta/request.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import { writeChunk } from '../../lib/writable.ts'
import { begin, partial, type Shape, statusOf } from './answer.ts'

export interface WatchStreamOptions {
  readonly shape: Omit<Shape, 'nowMs'>
  readonly bookmarks: boolean
  /** The first batch holds what is there; a bookmark says when it is all given. */
  readonly marksInitialEnd: boolean
  readonly bookmarkMs: number
  readonly clock: Clock
}

/** Writes events as JSON lines until the watch ends. A reader that does not read is waited for: its buffer in the cache is bounded. */
export async function streamWatch(
  response: Http2ServerResponse,
  batches: AsyncIterable<WatchBatch>,
  options: WatchStreamOptions,
  { signal }: AbortOptions,
): Promise<void> {
  begin(response, 'application/json')
  const lines = new Lines(options)
  try {
    for await (const batch of batches) {
      const chunk = lines.of(batch)
      if (chunk !== undefined) await writeChunk(response as unknown as Parameters<typeof writeChunk>[0], chunk, { signal })
    }
  } catch (err) {
    if (signal.aborted) throw err
    response.write(`${JSON.stringify({ type: 'ERROR', object: statusOf(err) })}\n`)
  } finally {
    response.end()
  }
}

const newline = Buffer.from('}\n')

/** By the list of events: readers of the same get the same list, and share its bytes. */
const chunks = new WeakMap<readonly WatchEvent[], Uint8Array>()

function chunkOf(events: readonly WatchEvent[]): Uint8Array {
  const known = chunks.get(events)
  if (known !== undefined) return known
  const chunk = Buffer.concat(events.flatMap(({ type, object }) => [headOf(type), jsonOf(object), newline]))
  chunks.set(events, chunk)
  return chunk
}

const heads = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
} as const

const headOf = (type: WatchEvent['type']): Buffer => heads[type]

class Lines {
  readonly #options: WatchStreamOptions
  #isFirst = true
  #hasColumns = false
  #markedAtMs: number

  constructor(options: WatchStreamOptions) {
    this.#options = options
    this.#markedAtMs = options.clock.monotonicMs()
  }

  of({ events, revision }: WatchBatch): Uint8Array | undefined {
    const isEnd = this.#isFirst && this.#options.marksInitialEnd
    this.#isFirst = false
    const { clock, bookmarks, bookmarkMs } = this.#options
    const hasMark = bookmarks && (isEnd || clock.monotonicMs() - this.#markedAtMs >= bookmarkMs)
    if (!hasMark) return events.length === 0 ? undefined : this.#chunk(events)
    return Buffer.concat([this.#chunk(events), this.#bookmark(revision, isEnd)])
  }

  #chunk(events: readonly WatchEvent[]): Uint8Array {
    if (this.#options.shape.form === 'json') return chunkOf(events)
    return Buffer.concat(events.flatMap((event) => this.#line(event)))
  }

  #line({ type, object }: WatchEvent): readonly Uint8Array[] {
    return [headOf(type), this.#bytes(object), newline]
  }

  #bytes(object: ApiObject): Uint8Array {
    const { shape, clock } = this.#options
    if (shape.form === 'metadata') return Buffer.from(JSON.stringify(partial(object)))
    const withColumns = !this.#hasColumns
    this.#hasColumns = true
    const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' }
    const options = { includeObject: shape.includeObject, nowMs: clock.now(), withColumns }
    return Buffer.from(JSON.stringify(toTable(shape.kind, [object], metadata, options)))
  }

  #bookmark(revision: number, isEnd: boolean): Uint8Array {
    const { clock, shape } = this.#options
    this.#markedAtMs = clock.monotonicMs()
    const annotations = isEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}
    const metadata = { resourceVersion: String(revision), ...annotations }
    const typed =
      shape.form === 'table'
        ? { kind: 'Table', apiVersion: 'meta.k8s.io/v1', columnDefinitions: null, rows: null }
        : { kind: shape.kind.kind, apiVersion: shape.kind.apiVersion }
    return Buffer.from(`${JSON.stringify({ type: 'BOOKMARK', object: { ...typed, metadata } })}\n`)
  }
}
