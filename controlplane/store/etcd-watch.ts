import { Duplex } from 'node:stream'
import type { IEvent, IWatchResponse } from 'etcd3'
import { expired, isExpired } from '../../api/meta/status.ts'
import { assert } from '../../lib/assert.ts'
import { LinkedAbort, sleep } from '../../lib/async.ts'
import { Backoff } from '../../lib/backoff.ts'
import { type EtcdClient, keyValueOf, prefixEnd, revisionOf } from './etcd-client.ts'
import type { ProgressInterest, StoreBatch, StoreEvent, StoreWatchOptions } from './store.ts'

/**
 * One watch over as many streams as it takes. The next stream begins right after the last event that was given, which
 * etcd3's own watch manager does not do (it begins after the store's newest revision, and loses what lies between).
 */
export async function* watchEtcd(client: EtcdClient, options: StoreWatchOptions): AsyncGenerator<StoreBatch, void, void> {
  const { clock, random, log } = client.options
  using own = new LinkedAbort(options.signal, client.closed)
  const { signal } = own
  const backoff = new Backoff({ baseMs: 50, maxMs: 2_000, random, clock })
  let trustsProgress: boolean | undefined
  let revision = options.afterRevision
  let isAgain = false
  for (;;) {
    try {
      trustsProgress ??= await canTrustProgress(client, signal)
      for await (const batch of oneStream(client, { ...options, afterRevision: revision, signal, trustsProgress })) {
        revision = batch.revision
        backoff.forget('stream')
        yield isAgain ? { ...batch, reconnected: true } : batch
        isAgain = false
      }
    } catch (err) {
      if (signal.aborted || isExpired(err)) throw err
      log[isAgain ? 'debug' : 'warn']('watch of etcd broke', { afterRevision: revision, err })
    }
    isAgain = true
    await sleep(clock, backoff.next('stream'), signal)
  }
}

/** Ends when the server ends the stream; throws when it breaks. */
async function* oneStream(
  client: EtcdClient,
  options: StoreWatchOptions & { trustsProgress: boolean },
): AsyncGenerator<StoreBatch, void, void> {
  const { prefix, afterRevision, withPrevious = true, signal, trustsProgress, interest } = options
  signal.throwIfAborted()
  const own = client.forStream()
  const stream = await own.watchClient.watch()
  const stop = (): void => stream.cancel()
  signal.addEventListener('abort', stop, { once: true })
  const asker = trustsProgress
    ? askForProgress(client, { interest, ask: () => stream.write({ progress_request: {} }) })
    : undefined
  try {
    assert(stream instanceof Duplex, 'a gRPC stream is a stream of Node')
    stream.write({ create_request: createRequest(prefix, afterRevision, withPrevious) })
    const parts = new Parts(afterRevision)
    for await (const response of stream as AsyncIterable<IWatchResponse>) {
      asker?.heard()
      if (response.canceled) throwCancelled(response)
      if (response.created && progressOf(response) < afterRevision)
        await checkNotSetBack(client, { prefix, afterRevision, signal })
      const batch = response.created ? undefined : parts.take(response)
      if (batch !== undefined) yield batch
    }
    signal.throwIfAborted()
  } catch (err) {
    signal.throwIfAborted() // A cancelled call has an error of its own.
    throw err
  } finally {
    asker?.[Symbol.dispose]()
    signal.removeEventListener('abort', stop)
    stream.cancel()
    own.close()
  }
}

const createRequest = (prefix: string, afterRevision: number, withPrevious: boolean) => ({
  key: Buffer.from(prefix),
  range_end: prefixEnd(prefix),
  start_revision: String(afterRevision + 1),
  prev_kv: withPrevious,
  fragment: true,
})

/** A member may lag behind, and will tell everything. A store that was wiped or restored has another future than ours. */
async function checkNotSetBack(client: EtcdClient, { prefix, afterRevision, signal }: StoreWatchOptions): Promise<void> {
  const { header } = await client.call('reading the revision', { signal }, (options) =>
    client.calls.kv.range({ key: Buffer.from(prefix), count_only: true }, options),
  )
  const revision = revisionOf(header.revision)
  if (revision >= afterRevision) return
  throw expired(`the store is at revision ${revision} and was at ${afterRevision} before: it was set back, list again`)
}

function throwCancelled(response: IWatchResponse): never {
  if (revisionOf(response.compact_revision) > 0) {
    throw expired(`the watch lies behind revision ${response.compact_revision}, where the past was compacted away: list again`)
  }
  throw new Error(`etcd cancelled the watch: ${response.cancel_reason}`)
}

/** Puts responses together to whole revisions, and drops what was given before. */
class Parts {
  #revision: number
  #events: StoreEvent[] = []

  constructor(afterRevision: number) {
    this.#revision = afterRevision
  }

  take(response: IWatchResponse): StoreBatch | undefined {
    for (const raw of response.events) {
      const event = eventOf(raw)
      const at = event.type === 'put' ? event.current.modRevision : event.modRevision
      if (at > this.#revision) this.#events.push(event) // Else a duplicate: etcd 3.4 sends some events twice.
    }
    if (response.fragment) return undefined
    const events = this.#events
    this.#events = []
    const revision = Math.max(this.#revision, newest(events) ?? progressOf(response))
    if (revision === this.#revision) return undefined
    this.#revision = revision
    return { events, revision }
  }
}

function newest(events: readonly StoreEvent[]): number | undefined {
  const last = events.at(-1)
  if (last === undefined) return undefined
  return last.type === 'put' ? last.current.modRevision : last.modRevision
}

/** Only a response without any event says something about the revision in its header. */
const progressOf = (response: IWatchResponse): number => (response.events.length === 0 ? revisionOf(response.header.revision) : 0)

function eventOf({ type, kv, prev_kv: previous }: IEvent): StoreEvent {
  const before = previous === null || previous === undefined ? undefined : keyValueOf(previous)
  if (type === 'Put') return { type: 'put', current: keyValueOf(kv), previous: before }
  return { type: 'delete', key: kv.key.toString(), modRevision: revisionOf(kv.mod_revision), previous: before }
}

interface Asking {
  readonly interest: ProgressInterest | undefined
  readonly ask: () => void
}

/** In which nothing came and nobody waits. */
const rarelyEvery = 5

/**
 * Asks after intervals in which nothing came, and soon when somebody begins to wait: after a moment, since what is
 * waited for mostly comes by itself. Only a write of another program in the same etcd does not.
 */
function askForProgress(client: EtcdClient, { interest, ask }: Asking): Disposable & { heard(): void } {
  const { clock, progressMs, promptMs } = client.options
  let quiet = 0
  let prompt: Disposable | undefined
  let isSilent = true // Since a prompt was planned.
  const tick = (): void => {
    quiet++
    if (quiet > 1 && (interest === undefined || interest.isAny || quiet % rarelyEvery === 0)) ask()
    timer = clock.after(progressMs, tick)
  }
  let timer = clock.after(progressMs, tick)
  /** More than once: etcd leaves the question unanswered while it has not caught up with the watch. */
  const hurry = (ms: number): void => {
    if (interest?.isAny !== true || prompt !== undefined) return
    isSilent = true
    prompt = clock.after(ms, () => {
      prompt = undefined
      if (isSilent && interest.isAny) ask()
      hurry(isSilent ? Math.min(2 * ms, progressMs) : promptMs)
    })
  }
  const listening = interest?.onWait(() => hurry(promptMs))
  hurry(promptMs) // Who waits already began before there was a stream.
  return {
    heard: () => {
      quiet = 0
      isSilent = false
    },
    [Symbol.dispose]: () => {
      listening?.[Symbol.dispose]()
      prompt?.[Symbol.dispose]()
      timer[Symbol.dispose]()
    },
  }
}

/** Older servers say how far a watch has come before they have sent it everything up to there. */
async function canTrustProgress(client: EtcdClient, signal: AbortSignal): Promise<boolean> {
  const { version } = await client.call('status', { signal }, (options) => client.calls.maintenance.status(options))
  return isFixed(version)
}

export function isFixed(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  if (major !== 3 || minor > 5) return major > 3 || (major === 3 && minor > 5)
  return (minor === 5 && patch >= 8) || (minor === 4 && patch >= 25)
}
