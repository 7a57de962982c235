import type { Clock } from '../../lib/clock.ts'
import type { ContainerState } from '../runtime/runtime.ts'
import { type Attempt, annotationKeys, type SeenPod } from './view.ts'

/**
 * Turns the engine's wall-clock times into monotonic ones. A time is converted once, when first seen, so that a wall
 * clock that jumps later neither shortens nor lengthens a back-off. What was seen alive has ended since, whatever the
 * clocks say: they may differ for good.
 */
export class Sightings {
  readonly #clock: Clock
  readonly #ended = new Map<string, { endedMs: number; ranMs: number }>()
  /** When each that has not ended was last looked at, by the monotonic clock. */
  readonly #alive = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What the engine said about one pod, sorted out. Forgets containers that are gone. */
  observe(states: readonly ContainerState[]): SeenPod {
    const ids = new Set(states.map(({ id }) => id))
    for (const known of [this.#ended, this.#alive]) {
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
    }
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
    if (!isDead) this.#alive.set(state.id, this.#clock.monotonicMs())
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
    const nowMs = this.#clock.monotonicMs()
    const mostMs = nowMs - (this.#alive.get(state.id) ?? Number.NEGATIVE_INFINITY)
    const agoMs = finishedMs === undefined ? 0 : Math.min(mostMs, Math.max(0, this.#clock.now() - finishedMs))
    const ranMs = startedMs === undefined || finishedMs === undefined ? 0 : Math.max(0, finishedMs - startedMs)
    const end = { endedMs: nowMs - agoMs, ranMs }
    this.#alive.delete(state.id)
    this.#ended.set(state.id, end)
    return end
  }
}

/** Ended, or could never be started. One that was made but not yet started has not ended. */
export const hasEnded = ({ status, error }: ContainerState): boolean =>
  status === 'exited' || (status === 'created' && error !== undefined)

const newestFirst = (a: ContainerState, b: ContainerState): number =>
  b.identity.attempt - a.identity.attempt || b.createdMs - a.createdMs
