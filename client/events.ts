import { createHash } from 'node:crypto'
import { Event } from '../api/kinds/event.ts'
import type { ApiObject } from '../api/meta/object-meta.ts'
import { isAlreadyExists, isNotFound } from '../api/meta/status.ts'
import { type AbortOptions, isAbort, sleep, withDeadline } from '../lib/async.ts'
import { type Clock, formatTime } from '../lib/clock.ts'
import { LatestByKey } from '../lib/latest.ts'
import type { Log } from '../lib/log.ts'
import type { Service } from '../lib/service.ts'
import type { Client } from './client.ts'

export interface EventText {
  readonly type: 'Normal' | 'Warning'
  /** One CamelCase word. */
  readonly reason: string
  /** For people. Cut off at 1024 characters. */
  readonly message: string
  /** The part of the object that is meant, as in `spec.containers{web}`. */
  readonly fieldPath?: string
}

/** What an event is about; an object, or what is known of one. */
export interface EventSubject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Pick<ApiObject['metadata'], 'name' | 'namespace' | 'uid' | 'resourceVersion'>
}

export interface EventRecorder {
  /** Never waits and never fails; what is too much is dropped. */
  record(subject: EventSubject, event: EventText): void
}

export interface EventRecorderOptions {
  readonly client: Client
  readonly clock: Clock
  readonly log: Log
  readonly component: string
  readonly host?: string
}

interface Series {
  readonly subject: EventSubject
  readonly event: EventText
  readonly name: string
  readonly firstMs: number
  readonly lastMs: number
  readonly count: number
}

interface Bucket {
  tokens: number
  atMs: number
}

/** Series and objects that are remembered; the oldest are forgotten and start over. */
const remembered = 4096
const maxUnsent = 1000
/** Of one object: this many at once, then one in `refillMs` (Kubernetes: 25 and 5 minutes). */
const burst = 25
const refillMs = 5 * 60_000
const pauseMs = 20
const maxMessage = 1024
const maxSubject = 230

/** Writes events in the background: the same thing happening again counts up the event that is there. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder & Service {
  return new BackgroundRecorder(options)
}

class BackgroundRecorder implements EventRecorder, Service {
  readonly name: string
  readonly #options: EventRecorderOptions
  readonly #series = new Map<string, Series>()
  readonly #buckets = new Map<string, Bucket>()
  readonly #unsent = new LatestByKey<Series>()
  #lastMicros = 0

  constructor(options: EventRecorderOptions) {
    this.name = `events of ${options.component}`
    this.#options = options
  }

  record(subject: EventSubject, event: EventText): void {
    const nowMs = this.#options.clock.now()
    const { uid = '', namespace = '', name = '' } = subject.metadata
    const object = [subject.kind, namespace, name, uid].join('/')
    const text = { ...event, message: event.message.slice(0, maxMessage) }
    const id = [object, text.type, text.reason, text.fieldPath ?? '', text.message].join('\n')
    if (!this.#mayRecord(object) || (this.#unsent.size >= maxUnsent && !this.#series.has(id))) return
    const known = this.#series.get(id)
    const next: Series =
      known === undefined
        ? {
            subject,
            event: text,
            name: `${name.slice(0, maxSubject)}.${this.#stamp(nowMs, id)}`,
            firstMs: nowMs,
            lastMs: nowMs,
            count: 1,
          }
        : { ...known, subject, lastMs: nowMs, count: known.count + 1 }
    keep(this.#series, id, next)
    this.#unsent.set(id, next)
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for (const [id, series] of await this.#unsent.take({ signal })) {
          await this.#send(id, series, { signal })
          await sleep(this.#options.clock, pauseMs, signal)
        }
      } catch (err) {
        if (!isAbort(err, signal)) throw err
      }
    }
  }

  /**
   * What makes a name of its own. Begins with the time, so that lists, which are in the order of names, and `describe`,
   * which only knows seconds, tell what happened to an object in the order in which it happened.
   */
  #stamp(nowMs: number, id: string): string {
    this.#lastMicros = Math.max(this.#lastMicros + 1, Math.floor(nowMs * 1000))
    const distinct = createHash('sha256').update(`${this.#options.component}\n${id}`).digest('hex').slice(0, 4)
    return `${this.#lastMicros.toString(16).padStart(13, '0')}${distinct}`
  }

  #mayRecord(object: string): boolean {
    const nowMs = this.#options.clock.monotonicMs()
    const bucket = this.#buckets.get(object) ?? { tokens: burst, atMs: nowMs }
    const tokens = Math.min(burst, bucket.tokens + (nowMs - bucket.atMs) / refillMs)
    keep(this.#buckets, object, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs })
    return tokens >= 1
  }

  /** An event that cannot be written is dropped: it is about the past, and must not hold up the next. */
  async #send(id: string, series: Series, { signal }: AbortOptions): Promise<void> {
    const { clock, log } = this.#options
    try {
      await withDeadline({ clock, ms: 10_000, signal, what: 'write an event' }, (inner) => this.#write(series, { signal: inner }))
    } catch (err) {
      if (signal.aborted) throw err
      this.#series.delete(id)
      log.debug('event dropped', { reason: series.event.reason, err })
    }
  }

  async #write(series: Series, opts: AbortOptions): Promise<void> {
    const { client } = this.#options
    const object = this.#objectOf(series)
    const { namespace = '', name = '' } = object.metadata
    const body = { count: series.count, lastTimestamp: formatTime(series.lastMs) }
    const create = (): Promise<unknown> => client.create(Event, object, opts)
    const count = (): Promise<unknown> => client.patch(Event, { namespace, name }, { type: 'merge', body }, opts)
    if (series.count === 1) {
      await create().catch((err: unknown) => (isAlreadyExists(err) ? count() : Promise.reject(err)))
    } else {
      // Expired meanwhile, or never written because several came at once.
      await count().catch((err: unknown) => (isNotFound(err) ? create() : Promise.reject(err)))
    }
  }

  #objectOf({ subject, event, name, firstMs, lastMs, count }: Series): Event {
    const { component, host } = this.#options
    const { namespace = '', uid, resourceVersion } = subject.metadata
    return {
      apiVersion: 'v1',
      kind: 'Event',
      // Events about what has no namespace stand in the default one.
      metadata: { name, namespace: namespace === '' ? 'default' : namespace },
      involvedObject: {
        apiVersion: subject.apiVersion,
        kind: subject.kind,
        name: subject.metadata.name ?? '',
        ...(namespace === '' ? {} : { namespace }),
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        ...(event.fieldPath === undefined ? {} : { fieldPath: event.fieldPath }),
      },
      type: event.type,
      reason: event.reason,
      message: event.message,
      source: { component, ...(host === undefined ? {} : { host }) },
      reportingComponent: component,
      reportingInstance: host ?? '',
      firstTimestamp: formatTime(firstMs),
      lastTimestamp: formatTime(lastMs),
      count,
    }
  }
}

/** Puts at the end, and drops the oldest when there are too many. */
function keep<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= remembered) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}
