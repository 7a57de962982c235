import { Event } from '../../../api/kinds/event.ts'
import { isConflict, isNotFound } from '../../../api/meta/status.ts'
import { type ControllerDef, defineController } from '../../../client/controller.ts'
import { parseTime } from '../../../lib/clock.ts'
import type { BuildDeps } from '../shared/deps.ts'

/** As in Kubernetes. */
const eventTtlMs = 60 * 60_000

/** Deletes events an hour after they last happened. */
export function eventTtlController({ informers, clock }: BuildDeps): ControllerDef {
  const events = informers.for(Event)
  return defineController({
    name: 'event-ttl',
    for: Event,
    writes: ['events'],
    workers: 2,
    async reconcile(key, { client, signal }) {
      const event = events.get(key)
      if (event === undefined) return undefined
      const leftMs = lastMs(event) + eventTtlMs - clock.now()
      if (leftMs > 0) return { afterMs: leftMs }
      const { namespace = '', name = '', uid = '', resourceVersion = '' } = event.metadata
      try {
        // It may have happened again meanwhile: then it stays.
        await client.delete(Event, { namespace, name }, { signal, preconditions: { uid, resourceVersion } })
      } catch (err) {
        if (!isNotFound(err) && !isConflict(err)) throw err
      }
      return undefined
    },
  })
}

function lastMs({ lastTimestamp, eventTime, series, metadata }: Event): number {
  const times = [lastTimestamp, eventTime, series?.lastObservedTime, metadata.creationTimestamp]
  return Math.max(0, ...times.map((time) => parseTime(time) ?? 0))
}
