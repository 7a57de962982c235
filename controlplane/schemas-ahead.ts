import { compileAhead } from '../api/derive/validator.ts'
import { Deployment } from '../api/kinds/deployment.ts'
import { Pod } from '../api/kinds/pod.ts'
import { ReplicaSet } from '../api/kinds/replica-set.ts'
import { aborted, sleep } from '../lib/async.ts'
import type { Clock } from '../lib/clock.ts'
import type { Service } from '../lib/service.ts'

/** By then the start itself is over. */
const afterMs = 2_000
const pauseMs = 5

/**
 * Compiles the schemas that hold a pod's specification soon after the start, which takes a quarter of a second of
 * processor time in pieces of some milliseconds. Left to the first use the first pods would wait for it.
 */
export function schemasAhead(clock: Clock): Service {
  return {
    name: 'schemas',
    async run(signal) {
      await sleep(clock, afterMs, signal)
      await compileAhead([Pod, ReplicaSet, Deployment], () => sleep(clock, pauseMs, signal))
      await aborted(signal)
    },
  }
}
