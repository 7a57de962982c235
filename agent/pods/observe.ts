import type { Clock } from '../../lib/clock.ts'
import type { ContainerState } from '../runtime/runtime.ts'
import { type Attempt, annotationKeys, type SeenPod } from './view.ts'

/**
 * Turns the engine's wall-clock times into monotonic ones. A time is converted once, when first seen, so that a wall
 * clock that jumps later neither shortens nor lengthens a back-off.
 */
export class Sightings {
  readonly #clock: Clock
  readonly #ended = new Map<string, { endedMs: number; ranMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What the engine said about one pod, sorted out. Forgets containers that are gone. */
  observe(states: readonly ContainerState[]): SeenPod {
    const ids = new Set(states.map(({ id }) => id))
    for (const id of this.#ended.keys()) if (!ids.has(id)) this.#ended.delete(id)
    const sandboxes = states.filter(({ identity }) => identity.role === 'sandbox').sort(newestFirst)
    const attempts = new Map<string, Attempt[]>()
    for (const state of states.filter(({ identity }) => identity.role !== 'sandbox').sort(newestFirst)) {
      const attempt = this.#attempt(state)
      const others = attempts.get(state.identity.container)
      if (others === undefined) attempts.set(state.identity.container, [attempt])
      else others.push(attempt)
    }
    return { sandboxes, attempts }
  }

  #attempt(state: ContainerState): Attempt {
    const isDead = hasEnded(state)
    const end = isDead ? this.#end(state) : undefined
    const { [annotationKeys.streak]: streak, [annotationKeys.sandbox]: sandboxId } = state.annotations
    return {
      state,
      isDead,
      endedMs: end?.endedMs,
      ranMs: end?.ranMs ?? 0,
      streak: streak !== undefined && /^\d{1,9}$/.test(streak) ? Number(streak) : state.identity.attempt,
      sandboxId,
    }
  }

  #end(state: ContainerState): { endedMs: number; ranMs: number } {
    const known = this.#ended.get(state.id)
    if (known !== undefined) return known
    const { startedMs, finishedMs } = state
    const agoMs = finishedMs === undefined ? 0 : Math.max(0, this.#clock.now() - finishedMs)
    const ranMs = startedMs === undefined || finishedMs === undefined ? 0 : Math.max(0, finishedMs - startedMs)
    const end = { endedMs: this.#clock.monotonicMs() - agoMs, ranMs }
    this.#ended.set(state.id, end)
    return end
  }
}

/** Ended, or could never be started. One that was made but not yet started has not ended. */
export const hasEnded = ({ status, error }: ContainerState): boolean =>
  status === 'exited' || (status === 'created' && error !== undefined)

const newestFirst = (a: ContainerState, b: ContainerState): number =>
  b.identity.attempt - a.identity.attempt || b.createdMs - a.createdMs
