import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { type AbortOptions, Bell, isAbort, sleep } from '../../../lib/async.ts'
import type { Clock } from '../../../lib/clock.ts'
import type { Log } from '../../../lib/log.ts'
import type { ContainerEvent } from '../runtime.ts'
import type { Engine } from './engine.ts'
import { identityOf, ownerLabel, podUidLabel } from './labels.ts'
import { number, text, textMap } from './read.ts'
import type { SeenContainers } from './seen-containers.ts'
import type { SeenImages } from './seen-images.ts'

export interface EventsOptions {
  readonly engine: Engine
  readonly clock: Clock
  readonly log: Log
  readonly owner: string
  /** Called with the id of a container in which the kernel killed a process for want of memory. */
  readonly onOutOfMemory: (containerId: string) => void
  /** Told what the events say before anybody else. */
  readonly seen: Pick<SeenContainers, 'forget' | 'forgetAll'>
  /** As `seen`. */
  readonly seenImages: Pick<SeenImages, 'listening' | 'deaf' | 'forgetAll'>
}

const openMs = 15_000
const firstRetryMs = 100
const maxRetryMs = 2_000
/** Unread changes of more containers than this become a gap. */
const maxUnread = 4_096
/** The engine sends its headers before it subscribes: what happens in between is asked for by its time. */
const overlapMs = 2_000
const beginnings: ReadonlySet<string> = new Set(['create', 'start', 'rename'])
const containerActions = ['create', 'start', 'die', 'oom', 'destroy', 'pause', 'unpause', 'rename']
/** Engines tell of these, one version of some, another of others, whenever a name leads to another image than before. */
const imageActions = ['create', 'delete', 'import', 'load', 'prune', 'pull', 'tag', 'untag']

/**
 * What changed, until aborted. Each connection starts with a gap, because the engine forgets what happened while
 * nobody listened, and what happened while it was away it never knew. A slow reader gets one event per container, or a
 * gap, never a backlog.
 */
export async function* containerEvents(
  options: EventsOptions,
  { signal }: AbortOptions,
): AsyncGenerator<ContainerEvent, void, void> {
  const inbox = new Inbox()
  const reading = new AbortController()
  const stop = (): void => reading.abort(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  const pump = keepReading(options, inbox, reading.signal)
  try {
    signal.throwIfAborted()
    for (;;) {
      for (const event of inbox.take()) yield event
      await inbox.bell.wait({ signal })
    }
  } finally {
    signal.removeEventListener('abort', stop)
    reading.abort(new Error('nobody reads the events any more'))
    await pump
  }
}

/** Unread events: the newest per container. */
class Inbox {
  readonly bell = new Bell()
  #isGap = false
  readonly #unread = new Map<string, ContainerEvent>()

  gap(): void {
    this.#unread.clear()
    this.#isGap = true
    this.bell.ring()
  }

  changed(podUid: string, containerId: string, isBeginning: boolean): void {
    const unread = this.#unread.get(containerId)
    const isOnlyBeginning = isBeginning && (unread === undefined || (unread.type === 'changed' && unread.isBeginning === true))
    if (this.#unread.size >= maxUnread) this.gap()
    else this.#unread.set(containerId, { type: 'changed', podUid, containerId, ...(isOnlyBeginning && { isBeginning: true }) })
    this.bell.ring()
  }

  take(): readonly ContainerEvent[] {
    const events: ContainerEvent[] = this.#isGap ? [{ type: 'gap' }] : []
    events.push(...this.#unread.values())
    this.#isGap = false
    this.#unread.clear()
    return events
  }
}

async function keepReading(options: EventsOptions, inbox: Inbox, signal: AbortSignal): Promise<void> {
  let retryMs = firstRetryMs
  while (!signal.aborted) {
    try {
      const since = Math.floor((options.clock.now() - overlapMs) / 1000)
      // Not by our label: images do not have it.
      const filters = JSON.stringify({
        type: ['container', 'image'],
        event: [...new Set([...containerActions, ...imageActions])],
      })
      const what = 'watch container events'
      const stream = await options.engine.open({ what, ms: openMs, signal }, '/events', { since: String(since), filters })
      retryMs = firstRetryMs
      options.seen.forgetAll()
      options.seenImages.listening()
      inbox.gap()
      await readEvents(stream, options, inbox)
      options.log.info('the engine ended its events')
    } catch (err) {
      if (isAbort(err, signal) || signal.aborted) return
      options.log.warn('container events are away', { err })
    } finally {
      options.seenImages.deaf()
    }
    await sleep(options.clock, retryMs, signal).catch(() => undefined) // Aborted: the loop ends.
    retryMs = Math.min(retryMs * 2, maxRetryMs)
  }
}

async function readEvents(stream: Readable, options: EventsOptions, inbox: Inbox): Promise<void> {
  // readline waits for ever when its input fails, so the failure has to close it.
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
  stream.once('error', () => lines.close())
  stream.once('close', () => lines.close())
  for await (const line of lines) {
    const event = parseEvent(line, options.owner)
    if (event === 'image') options.seenImages.forgetAll()
    if (event === undefined || event === 'image') continue
    if (event.action === 'oom') options.onOutOfMemory(event.containerId)
    options.seen.forget(event.containerId)
    inbox.changed(event.podUid, event.containerId, beginnings.has(event.action))
  }
}

interface EngineEvent {
  readonly action: string
  readonly containerId: string
  readonly podUid: string
  readonly timeMs: number
}

/** Undefined for a line that is no event of an image, nor of a container of this owner's. */
export function parseEvent(line: string, owner: string): EngineEvent | 'image' | undefined {
  let raw: unknown
  try {
    raw = JSON.parse(line)
  } catch {
    return undefined // A line cut off by the end of the engine; the next connection starts with a gap.
  }
  if (text(raw, 'Type') === 'image') return 'image'
  const containerId = text(raw, 'Actor', 'ID')
  const labels = textMap(raw, 'Actor', 'Attributes')
  if (labels[ownerLabel] !== owner) return undefined
  // The name stands among the labels.
  const podUid = identityOf(labels, labels['name'])?.podUid ?? labels[podUidLabel] ?? ''
  if (containerId === '' || podUid === '') return undefined
  return { action: text(raw, 'Action'), containerId, podUid, timeMs: (number(raw, 'time') ?? 0) * 1000 }
}
