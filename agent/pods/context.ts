import { withDeadline } from '../../lib/async.ts'
import { Backoff } from '../../lib/backoff.ts'
import type { PodEvent } from '../contracts.ts'
import type { Activities } from './activities.ts'
import type { PodsDeps } from './deps.ts'
import type { PodMemory } from './pod-memory.ts'
import { initContainersOf, type Pod } from './pod-types.ts'

/** Back-offs shared by all workers of the node; each forgets its oldest keys beyond a bound. */
export interface Backoffs {
  /** Image pulls, by pod and image. */
  readonly image: Backoff
  /** Whatever else of a pod fails. */
  readonly trouble: Backoff
  /** Sandboxes that do not live long. */
  readonly sandbox: Backoff
}

export function createBackoffs({ clock, random }: Pick<PodsDeps, 'clock' | 'random'>): Backoffs {
  return {
    image: new Backoff({ baseMs: 10_000, maxMs: 300_000, resetAfterMs: 1_200_000, clock, random }),
    trouble: new Backoff({ baseMs: 500, maxMs: 60_000, resetAfterMs: 600_000, clock, random }),
    sandbox: new Backoff({ baseMs: 1_000, maxMs: 60_000, resetAfterMs: 600_000, clock, random }),
  }
}

/** What the steps of one pod share. */
export class PodContext {
  readonly uid: string
  readonly deps: PodsDeps
  readonly backoffs: Backoffs
  readonly memory: PodMemory
  readonly activities: Activities
  /** As last known. */
  pod: Pod | undefined

  constructor(options: Pick<PodContext, 'uid' | 'deps' | 'backoffs' | 'memory' | 'activities'>) {
    this.uid = options.uid
    this.deps = options.deps
    this.backoffs = options.backoffs
    this.memory = options.memory
    this.activities = options.activities
  }

  event(type: PodEvent['type'], reason: string, message: string, container?: string): void {
    if (this.pod === undefined) return
    const text = message.length > 1024 ? `${message.slice(0, 1021)}...` : message
    const fieldPath = container === undefined ? {} : { fieldPath: `spec.${this.#listOf(container)}{${container}}` }
    this.deps.reporter.event(this.pod, { type, reason, message: text, ...fieldPath })
  }

  deadline<T>(ms: number, what: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline({ clock: this.deps.clock, ms, signal, what: `${what} of pod ${this.uid}` }, work)
  }

  /** Notes that `key` does not go on for a growing time. */
  wait(key: string, reason: string, message: string): void {
    const untilMs = this.deps.clock.monotonicMs() + this.backoffs.trouble.next(`${this.uid}/${key}`)
    this.memory.waits.set(key, { reason, message, untilMs })
  }

  clear(key: string): void {
    this.memory.waits.delete(key)
    this.backoffs.trouble.forget(`${this.uid}/${key}`)
  }

  #listOf(container: string): string {
    const isInit = this.pod !== undefined && initContainersOf(this.pod).some(({ name }) => name === container)
    return isInit ? 'initContainers' : 'containers'
  }
}

export const messageOf = (err: unknown): string => (err instanceof Error ? err.message : String(err))
