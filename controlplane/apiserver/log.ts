import type { Http2ServerResponse } from 'node:http2'
import { badRequest } from '../../api/meta/status.ts'
import type { ContainerRef, LogOptions, PodStreams } from '../../api/meta/streams.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { type Clock, parseTime } from '../../lib/clock.ts'
import { writeChunk } from '../../lib/writable.ts'
import { begin } from './answer.ts'
import { flag, integer } from './query.ts'

export function readLogOptions(query: URLSearchParams, clock: Clock): LogOptions {
  const tailLines = integer(query, 'tailLines')
  const limitBytes = integer(query, 'limitBytes', 1)
  const sinceMs = since(query, clock)
  return {
    follow: flag(query, 'follow'),
    previous: flag(query, 'previous'),
    timestamps: flag(query, 'timestamps'),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
  }
}

function since(query: URLSearchParams, clock: Clock): number | undefined {
  const seconds = integer(query, 'sinceSeconds', 1)
  const text = query.get('sinceTime')
  if (text === null || text === '') return seconds === undefined ? undefined : clock.now() - seconds * 1000
  if (seconds !== undefined) throw badRequest('at most one of `sinceTime` or `sinceSeconds` may be specified')
  const ms = parseTime(text)
  if (ms === undefined)
    throw badRequest(`sinceTime: Invalid value: "${text.slice(0, 100)}": must be a time as in 2006-01-02T15:04:05Z`)
  return ms
}

/** Writes a log as it comes. What is wrong before the first bytes is an answer of its own. */
export async function streamLog(
  response: Http2ServerResponse,
  streams: PodStreams,
  { ref, options }: { readonly ref: ContainerRef; readonly options: LogOptions },
  { signal }: AbortOptions,
): Promise<void> {
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY
  const chunks = streams.log(ref, options, { signal })[Symbol.asyncIterator]()
  try {
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      begin(response, 'text/plain')
      const part = next.value.length > left ? next.value.subarray(0, left) : next.value
      left -= part.length
      await writeChunk(response as unknown as Parameters<typeof writeChunk>[0], part, { signal })
      if (left <= 0) break
    }
  } finally {
    await chunks.return?.()
  }
  begin(response, 'text/plain')
  response.end()
}
