import type { Clock } from '../../../lib/clock.ts'
import type { ContainerState } from '../runtime.ts'
import { text, textMap } from './read.ts'

/** What the engine's list says of one container. */
export interface Row {
  readonly id: string
  /** Whatever in it may change; undefined for one that changed a short while ago, or is about to. */
  readonly print: string | undefined
}

interface Seen {
  readonly print: string
  readonly state: ContainerState
  readonly untilMs: number
}

/** However quiet a container is, it is looked at again after this time, or up to half of it sooner. */
const maxAgeMs = 300_000

/**
 * What inspections of containers have said, so that a list need not inspect each one that nothing has happened to. An
 * answer is good while the list says the same of the container as then, no event has named it, and it is not old.
 * Events can be lost: then the list tells of a container that ended, was paused, renamed, or started anew, for what it
 * says of the time since is young. Holds no more than what the last list had.
 */
export class SeenContainers {
  readonly #clock: Clock
  readonly #seen = new Map<string, Seen>()
  /** Inspections under way. One during which something happened to the container may have been too early. */
  readonly #looking = new Map<string, symbol>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get({ id, print }: Row): ContainerState | undefined {
    const seen = this.#seen.get(id)
    return seen !== undefined && seen.print === print && this.#clock.monotonicMs() < seen.untilMs ? seen.state : undefined
  }

  /** Asks for the state and keeps it, unless the container was forgotten meanwhile. */
  async look(row: Row, inspect: () => Promise<ContainerState | undefined>): Promise<ContainerState | undefined> {
    const { id, print } = row
    const look = Symbol(id)
    this.#looking.set(id, look)
    try {
      const state = await inspect()
      if (state === undefined || print === undefined) this.#seen.delete(id)
      else if (this.#looking.get(id) === look) this.#seen.set(id, { print, state, untilMs: this.#untilMs(id) })
      return state
    } finally {
      if (this.#looking.get(id) === look) this.#looking.delete(id)
    }
  }

  /** Something has happened to it, or may have. */
  forget(id: string): void {
    this.#seen.delete(id)
    this.#looking.delete(id)
  }

  forgetAll(): void {
    this.#seen.clear()
    this.#looking.clear()
  }

  /** After a complete list: others than these are gone. */
  keepOnly(rows: readonly Row[]): void {
    const ids = new Set(rows.map(({ id }) => id))
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id)
  }

  /** Spread by the id, which is random, so that not all are due in the same list. */
  #untilMs(id: string): number {
    const share = Number.parseInt(id.slice(0, 4), 16) / 0x1_0000
    return this.#clock.monotonicMs() + maxAgeMs * (0.5 + (Number.isFinite(share) ? share : 0) / 2)
  }
}

export function rowOf(row: unknown): Row {
  const state = text(row, 'State')
  const status = text(row, 'Status')
  const since = sinceOf(status)
  const isQuiet = ['running', 'paused', 'exited'].includes(state) && since !== undefined
  const labels = Object.entries(textMap(row, 'Labels')).sort(([a], [b]) => (a < b ? -1 : 1))
  const names: unknown = typeof row === 'object' && row !== null ? Reflect.get(row, 'Names') : undefined
  const print = JSON.stringify([state, since, names, text(row, 'Image'), text(row, 'ImageID'), labels])
  return { id: text(row, 'Id'), print: isQuiet ? print : undefined }
}

/**
 * The engine's words without the time: "Up 3 hours" and "Exited (1) 3 hours ago". Undefined when the time is below two
 * minutes, or not understood. A container that was started anew between two lists is one of these.
 */
function sinceOf(status: string): string | undefined {
  const match = /^(Up|Exited \(-?\d+\)) (?:(\d+) (minutes|hours|days|weeks|months|years)|About an hour)( ago)?( \(.*\))?$/.exec(
    status,
  )
  if (match === null) return undefined
  const [, what, count, unit, , note = ''] = match
  return unit === 'minutes' && Number(count) < 2 ? undefined : `${what}${note}`
}
