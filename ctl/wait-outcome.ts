import type { KindDef } from '../api/kinds/define.ts'
import type { Deployment } from '../api/kinds/deployment.ts'
import { Pod } from '../api/kinds/pod.ts'
import type { ApiObject } from '../api/meta/object-meta.ts'
import { formatLabelSelector } from '../api/meta/selector.ts'
import type { Client } from '../client/client.ts'
import { Bell } from '../lib/async.ts'
import type { Clock } from '../lib/clock.ts'
import type { Context } from './command.ts'
import { listAll, type Query } from './get-objects.ts'
import { deploymentOutcome, type Outcome, podOutcome } from './outcome.ts'
import { watchObjects } from './watch.ts'

/** Kinds whose outcome is worth waiting for. */
export const canWait = (kind: KindDef): boolean => kind.kind === 'Deployment' || kind.kind === 'Pod'

export interface WaitOptions {
  readonly kind: KindDef
  readonly namespace: string
  readonly name: string
  readonly timeoutMs: number
  /** Only says how it is now; that is no failure. */
  readonly once?: boolean
  /** Gives up when something has stood in the way for so long and nothing has changed; not at all when not given. */
  readonly stallMs?: number
}

/**
 * Follows a deployment or pod until it is done, has failed, or the time is over, telling each change on standard output
 * and what stands in the way on standard error. True: it is done.
 */
export async function waitForOutcome(options: WaitOptions, context: Context): Promise<boolean> {
  const { kind, name, timeoutMs } = options
  const own = new AbortController()
  const stop = (): void => own.abort(context.signal.reason)
  context.signal.addEventListener('abort', stop, { once: true })
  const scene = new Scene(options, context.connect().client, own.signal)
  const saying = new Saying(context)
  const patience = new Patience(context.clock, timeoutMs, options.stallMs)
  try {
    for (;;) {
      const outcome = scene.outcome()
      const end = outcome === undefined ? undefined : saying.tell(outcome)
      if (end !== undefined) return end
      if (outcome !== undefined && options.once === true) return true
      const { leftMs, over } = patience.look(outcome)
      if (over !== undefined) {
        context.out.note(`error: ${over} waiting for ${kind.singular} "${name}"`)
        for (const reason of outcome?.pending ?? []) context.out.note(`  ${reason}`)
        return false
      }
      await scene.changed({ signal: context.signal, clock: context.clock, timeoutMs: leftMs })
    }
  } finally {
    own.abort(new Error('done'))
    context.signal.removeEventListener('abort', stop)
  }
}

/** Of several objects the last ones come when the time may be over: how it is with them is told all the same. */
const firstLookMs = 5_000

/** How long is still waited: to the end of the time, or until nothing has changed for too long. */
class Patience {
  readonly #clock: Clock
  readonly #startMs: number
  readonly #untilMs: number
  readonly #stallMs: number | undefined
  #seen = ''
  #sinceMs: number

  constructor(clock: Clock, timeoutMs: number, stallMs: number | undefined) {
    this.#clock = clock
    this.#startMs = clock.monotonicMs()
    this.#untilMs = this.#startMs + timeoutMs
    this.#stallMs = stallMs
    this.#sinceMs = clock.monotonicMs()
  }

  look(outcome: Outcome | undefined): { readonly leftMs: number; readonly over: string | undefined } {
    const nowMs = this.#clock.monotonicMs()
    const endMs = outcome === undefined ? Math.max(this.#untilMs, this.#startMs + firstLookMs) : this.#untilMs
    const leftMs = endMs - nowMs
    if (leftMs <= 0) return { leftMs: 0, over: 'timed out' }
    const isStuck = outcome !== undefined && outcome.why.length > 0
    const seen = isStuck ? JSON.stringify([outcome.line, outcome.why]) : ''
    if (seen !== this.#seen || !isStuck) {
      this.#seen = seen
      this.#sinceMs = nowMs
    }
    if (this.#stallMs === undefined || !isStuck) return { leftMs, over: undefined }
    const stallLeftMs = this.#sinceMs + this.#stallMs - nowMs
    if (stallLeftMs <= 0) return { leftMs: 0, over: `no progress for ${Math.round(this.#stallMs / 1000)} s` }
    return { leftMs: Math.min(leftMs, stallLeftMs), over: undefined }
  }
}

/** The object and, for a deployment, its pods, kept up to date. */
class Scene {
  readonly #bell = new Bell()
  readonly #object: Follower
  readonly #options: WaitOptions
  readonly #query: Query
  #pods: Follower | undefined
  #failure: unknown

  constructor(options: WaitOptions, client: Client, signal: AbortSignal) {
    this.#options = options
    this.#query = { client, signal, namespace: options.namespace, labelSelector: undefined, fieldSelector: undefined }
    this.#object = this.#follow(options.kind, { ...this.#query, fieldSelector: `metadata.name=${options.name}` })
  }

  /** undefined: not known yet. */
  outcome(): Outcome | undefined {
    const { kind, name } = this.#options
    if (!this.#object.isSynced) return undefined
    const [object] = this.#object.all
    if (object === undefined)
      return { state: 'failed', line: `error: ${kind.singular} "${name}" does not exist any more`, why: [] }
    if (kind.kind !== 'Deployment') return podOutcome(object as Pod)
    const deployment = object as Deployment
    this.#pods ??= this.#follow(Pod, { ...this.#query, labelSelector: formatLabelSelector(deployment.spec.selector) })
    return deploymentOutcome(deployment, this.#pods.all as readonly Pod[])
  }

  async changed(opts: { readonly signal: AbortSignal; readonly clock: Clock; readonly timeoutMs: number }): Promise<void> {
    await this.#bell.wait(opts)
    if (this.#failure !== undefined) throw this.#failure
  }

  #follow(kind: KindDef, query: Query): Follower {
    const follower = new Follower(kind, query, this.#bell)
    follower.follow().catch((err: unknown) => {
      if (query.signal.aborted) return
      this.#failure = err
      this.#bell.ring()
    })
    return follower
  }
}

/** Keeps a small set of objects up to date and rings on each change. */
class Follower {
  readonly #objects = new Map<string, ApiObject>()
  readonly #kind: KindDef
  readonly #query: Query
  readonly #bell: Bell
  isSynced = false

  constructor(kind: KindDef, query: Query, bell: Bell) {
    this.#kind = kind
    this.#query = query
    this.#bell = bell
  }

  get all(): readonly ApiObject[] {
    return [...this.#objects.values()]
  }

  async follow(): Promise<void> {
    const { items, resourceVersion } = await listAll(this.#kind, this.#query)
    for (const object of items) this.#objects.set(object.metadata.uid ?? '', object)
    this.isSynced = true
    this.#bell.ring()
    await watchObjects(this.#kind, { ...this.#query, resourceVersion }, (events) => {
      for (const { type, object } of events) {
        if (type === 'DELETED') this.#objects.delete(object.metadata.uid ?? '')
        else this.#objects.set(object.metadata.uid ?? '', object)
      }
      this.#bell.ring()
      return undefined
    })
  }
}

/** Says each thing once. */
class Saying {
  readonly #context: Context
  #line = ''
  readonly #reasons = new Set<string>()

  constructor(context: Context) {
    this.#context = context
  }

  /** Gives how it ended, once it has. */
  tell({ state, line, why }: Outcome): boolean | undefined {
    const { out } = this.#context
    if (line !== this.#line) {
      this.#line = line
      if (state === 'failed') out.note(line)
      else out.line(line)
    }
    for (const reason of why) {
      // The same trouble of another pod is no news, a count that grew is none either.
      const key = reason.replace(/^pod \S+( and \d+ more)?: /, '')
      if (this.#reasons.has(key)) continue
      this.#reasons.add(key)
      out.note(`  ${reason}`)
    }
    return state === 'waiting' ? undefined : state === 'done'
  }
}
