import type { EventRecorder } from '../../../client/events.ts'
import type { Informers } from '../../../client/informers.ts'
import type { Clock } from '../../../lib/clock.ts'

/** What every controller is made from. */
export interface BuildDeps {
  readonly informers: Informers
  readonly clock: Clock
  readonly events: EventRecorder
}
