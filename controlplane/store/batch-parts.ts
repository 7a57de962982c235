import type { StoreBatch, StoreEvent } from './store.ts'

/** The batch in parts of about so many events. What has one revision stays together. */
export function* inParts({ events, revision, ...batch }: StoreBatch, most: number): Generator<StoreBatch, void, void> {
  let from = 0
  for (let to = most; to < events.length; to++) {
    if (to - from < most || revisionOf(events[to]) === revisionOf(events[to - 1])) continue
    yield { ...batch, events: events.slice(from, to), revision: revisionOf(events[to - 1]) }
    from = to
  }
  yield { ...batch, events: from === 0 ? events : events.slice(from), revision }
}

function revisionOf(event: StoreEvent | undefined): number {
  if (event === undefined) return 0
  return event.type === 'put' ? event.current.modRevision : event.modRevision
}
