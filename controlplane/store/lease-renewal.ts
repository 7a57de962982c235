import type { Etcd3 } from 'etcd3'
import { type AbortOptions, Bell, sleep } from '../../lib/async.ts'
import { type EtcdClient, revisionOf } from './etcd-client.ts'

/** The lease has ended, or what hung on it is somebody else's. */
export class LostError extends Error {
  override readonly name = 'LostError'
}

export interface RenewalOptions extends AbortOptions {
  readonly id: string
  readonly ttlMs: number
  /** The lease lives for its whole time from `sinceMs`, of our monotonic clock. */
  readonly renewed: (sinceMs: number, revision: number) => void
}

type KeepAliveStream = Awaited<ReturnType<Etcd3['leaseClient']['leaseKeepAlive']>>

/** Requests in a lease's time. */
const perTtl = 4
/** Without an answer for this share of the lease's time another line is opened beside the silent one. */
const patience = 0.4
const maxLines = 3
const pauseMs = 100

/**
 * Renews a lease until aborted; rejects with LostError when etcd says that it has ended. Requests follow each other
 * without waiting for answers, so that a slow etcd does not cost the lease as long as it answers within its time. The
 * lines are connections of their own: a member that is silent must not take the others with it.
 */
export async function renewLease(client: EtcdClient, options: RenewalOptions): Promise<never> {
  const { id, ttlMs, signal, renewed } = options
  const { clock, log } = client.options
  const bell = new Bell()
  let lines: readonly Line[] = []
  let lost: LostError | undefined
  const answered = (line: Line, sinceMs: number, { ttl, revision }: Answer): void => {
    if (ttl <= 0) lost = new LostError(`lease ${id} has ended`)
    else renewed(sinceMs, revision)
    const older = lines.slice(0, Math.max(0, lines.indexOf(line)))
    for (const one of older) one.close()
    lines = lines.filter((one) => !older.includes(one))
    if (lost !== undefined) bell.ring()
  }
  const broken = (line: Line, err: unknown): void => {
    if (!lines.includes(line)) return
    log.debug('a line for renewals broke', { lease: id, err })
    lines = lines.filter((one) => one !== line)
    bell.ring()
  }
  try {
    for (;;) {
      const nowMs = clock.monotonicMs()
      const newest = lines.at(-1)
      if (newest === undefined || (newest.silentForMs(nowMs) > ttlMs * patience && lines.length < maxLines)) {
        const line: Line = new Line(client, id, {
          answered: (sinceMs, answer) => answered(line, sinceMs, answer),
          broken: (err) => broken(line, err),
        })
        lines = [...lines, line]
      }
      for (const line of lines) line.ask(nowMs)
      await bell.wait({ signal, clock, timeoutMs: ttlMs / perTtl })
      if (lost !== undefined) throw lost
      if (lines.length === 0) await sleep(clock, pauseMs, signal)
    }
  } finally {
    for (const line of lines) line.close()
  }
}

interface Answer {
  readonly ttl: number
  /** How far the store had come. */
  readonly revision: number
}

interface LineEvents {
  readonly answered: (sinceMs: number, answer: Answer) => void
  readonly broken: (err: unknown) => void
}

/** One stream of renewals. Answers come in the order of the requests. */
class Line {
  readonly #id: string
  readonly #own: Etcd3
  /** When the requests were made that are not answered yet. */
  readonly #asked: number[] = []
  #stream: KeepAliveStream | undefined
  #isClosed = false

  constructor(client: EtcdClient, id: string, { answered, broken }: LineEvents) {
    this.#id = id
    this.#own = client.forStream()
    const fail = (err: unknown): void => {
      if (this.#isClosed) return
      this.close()
      broken(err)
    }
    const open = async (): Promise<void> => {
      const stream = await this.#own.leaseClient.leaseKeepAlive()
      stream.on('data', (response) => {
        const sinceMs = this.#asked.shift()
        const answer = { ttl: Number(response.TTL), revision: revisionOf(response.header.revision) }
        if (sinceMs !== undefined && !this.#isClosed) answered(sinceMs, answer)
      })
      stream.on('error', fail)
      stream.on('end', () => fail(new Error('etcd ended the renewal')))
      if (this.#isClosed) return stream.cancel()
      this.#stream = stream
      for (const _ of this.#asked) stream.write({ ID: id })
    }
    open().catch(fail)
  }

  ask(nowMs: number): void {
    this.#asked.push(nowMs)
    this.#stream?.write({ ID: this.#id })
  }

  silentForMs(nowMs: number): number {
    return nowMs - (this.#asked[0] ?? nowMs)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stream?.cancel()
    this.#own.close()
  }
}
