import type { Step, StopTarget } from './step.ts'
import { type Attempt, type PodView, pendingWait, type Stop } from './view.ts'

/** How much earlier a shortened grace must end before a stop that goes on is issued anew. */
const graceSlackMs = 500

/** All that stopping is decided from: the pod's object may be gone already. */
export type StopView = Pick<PodView, 'seen' | 'memory' | 'nowMs'>

/** On the way out: stop all at once, then take away containers, sandbox and volumes. */
export function stopNext(view: StopView, stop: Stop): Step {
  const alive = [...view.seen.attempts.values()].flat().filter(({ state }) => state.status === 'running')
  if (alive.length > 0) return stopAlive(view, stop, alive)
  if (stop.cause === 'finished' || stop.cause === 'deadline') return keepDead(view)
  const ids = [...view.seen.attempts.values()].flat().map(({ state }) => state.id)
  const blocked = pendingWait(view, 'remove')
  if (blocked !== undefined) return { do: 'wait', untilMs: blocked.untilMs }
  if (ids.length > 0) return { do: 'remove', ids }
  if (view.seen.sandboxes.length > 0 || !view.memory.sandboxRemoved) return { do: 'removeSandbox' }
  if (!view.memory.volumesCleaned) return { do: 'cleanUp' }
  return { do: 'done' }
}

/** A pod that ended but was not deleted keeps its dead containers, for logs; its address is given back. */
function keepDead(view: StopView): Step {
  if (view.seen.sandboxes.length === 0 && view.memory.sandboxRemoved) return { do: 'wait', untilMs: undefined }
  const blocked = pendingWait(view, 'remove')
  return blocked === undefined ? { do: 'removeSandbox' } : { do: 'wait', untilMs: blocked.untilMs }
}

function stopAlive(view: StopView, { endsMs }: Stop, alive: readonly Attempt[]): Step {
  const targets: StopTarget[] = []
  let untilMs: number | undefined
  for (const { state } of alive) {
    const { container } = state.identity
    const wait = pendingWait(view, `stop/${container}`)
    const activity = view.memory.activities.get(container)
    if (wait !== undefined) untilMs = Math.min(untilMs ?? wait.untilMs, wait.untilMs)
    else if (activity?.kind !== 'stop' || activity.id !== state.id || activity.endsMs > endsMs + graceSlackMs)
      targets.push({
        id: state.id,
        container,
        graceMs: Math.max(0, endsMs - view.nowMs),
        message: `Stopping container ${container}`,
      })
  }
  // One activity a container: a second attempt of the same name, which should not be there, has its turn afterwards.
  const first = [...new Map(targets.toReversed().map((target) => [target.container, target])).values()].toReversed()
  const free = first.filter(({ container, id }) => {
    const activity = view.memory.activities.get(container)
    return activity?.kind !== 'stop' || activity.id === id
  })
  return free.length > 0 ? { do: 'stop', targets: free } : { do: 'wait', untilMs }
}
