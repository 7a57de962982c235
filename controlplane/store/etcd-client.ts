import type { CallOptions } from '@grpc/grpc-js'
import { noop } from 'cockatiel'
import { Etcd3, type IOptions, type IKeyValue as RawKeyValue } from 'etcd3'
import { must } from '../../lib/assert.ts'
import { type AbortOptions, sleep, withDeadline } from '../../lib/async.ts'
import { Backoff } from '../../lib/backoff.ts'
import { type Clock, machineTimeIn } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import { asStatusError, isUnknownOutcome } from './etcd-errors.ts'
import { type EtcdTls, UnaryCaller } from './grpc-unary.ts'
import type { KeyValue } from './store.ts'

export interface EtcdOptions {
  /** As in `https://127.0.0.1:2379`. */
  readonly endpoints: readonly string[]
  /** Absent: plain text, for tests only. */
  readonly tls?: EtcdTls
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** How long one operation may take with all its attempts. */
  readonly callMs?: number
  readonly attemptMs?: number
  /** How often an idle watch asks how far the store has come. */
  readonly progressMs?: number
  /** How soon it asks when somebody begins to wait for that, if nothing comes meanwhile. */
  readonly promptMs?: number
}

/** Longer than anything takes that may be under way when a client is replaced. */
const oldClientMs = 180_000

/** One attempt's time, told to gRPC (which ends the call by it). */
export type Attempt<T> = (options: CallOptions) => Promise<T>

/**
 * The etcd3 client with its own retries, circuit breakers and watch manager switched off: they lose events, send writes
 * twice and block everything after one large value. What is tried again is decided here.
 */
export class EtcdClient {
  readonly options: Required<Omit<EtcdOptions, 'tls'>>
  #calls: Etcd3
  #settings: IOptions
  readonly #unary: UnaryCaller
  readonly #closed = new AbortController()

  constructor({ tls, ...options }: EtcdOptions) {
    this.options = { callMs: 5_000, attemptMs: 2_500, progressMs: 1_000, promptMs: 20, ...options }
    this.#settings = clientOptions(options.endpoints, tls)
    this.#calls = new Etcd3(this.#settings)
    this.#unary = new UnaryCaller({ endpoints: options.endpoints, tls, clock: options.clock })
  }

  get calls(): Etcd3 {
    return this.#calls
  }

  /** Shows other certificates from now on. Calls that are under way end on the connections that they began on. */
  setTls(tls: EtcdTls): void {
    if (this.closed.aborted) return
    const { endpoints, clock } = this.options
    const old = this.#calls
    this.#settings = clientOptions(endpoints, tls)
    this.#calls = new Etcd3(this.#settings)
    this.#unary.setTls(tls)
    const close = (): void => old.close()
    const timer = clock.after(oldClientMs, close)
    this.closed.addEventListener(
      'abort',
      () => {
        timer[Symbol.dispose]()
        close()
      },
      { once: true },
    )
  }

  /**
   * A client for one stream alone, which the caller closes: etcd3 closes all channels of a client when a stream of it is
   * cancelled or a call fails.
   */
  forStream(): Etcd3 {
    return new Etcd3(this.#settings)
  }

  /** Aborts when the client is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal
  }

  /** Ends everything that is under way. */
  close(): void {
    this.#closed.abort(new Error('the etcd client was closed'))
    this.#calls.close()
    this.#unary.close()
  }

  /**
   * Makes attempts until one succeeds, fails for good, or the time is over: then it throws Timeout or
   * ServiceUnavailable. `attempt` must be harmless when it is made again.
   */
  call<T>(what: string, { signal }: AbortOptions, attempt: Attempt<T>): Promise<T> {
    const { clock } = this.options
    return this.#attempts(what, signal, (ms) =>
      withDeadline({ clock, ms, signal, what }, () => attempt({ deadline: machineTimeIn(ms) })),
    )
  }

  /** As `call`, for the calls that everything waits for: one message of bytes each way, without etcd3. */
  unary<T>(
    what: string,
    { path, message, signal }: AbortOptions & { path: string; message: Uint8Array },
    read: (answer: Uint8Array, isRepeated: boolean) => T | Promise<T>,
  ): Promise<T> {
    let isRepeated = false
    return this.#attempts(what, signal, async (ms) => {
      const wasRepeated = isRepeated
      isRepeated = true
      return await read(await this.#unary.call({ path, message, ms, what, signal }), wasRepeated)
    })
  }

  async #attempts<T>(what: string, signal: AbortSignal, attempt: (ms: number) => Promise<T>): Promise<T> {
    const { clock, random, callMs, attemptMs } = this.options
    const endMs = clock.monotonicMs() + callMs
    let backoff: Backoff | undefined
    for (;;) {
      this.closed.throwIfAborted()
      try {
        return await attempt(Math.min(attemptMs, Math.max(1, endMs - clock.monotonicMs())))
      } catch (err) {
        backoff ??= new Backoff({ baseMs: 50, maxMs: 1_000, random, clock })
        const delayMs = backoff.next(what)
        const isLast = clock.monotonicMs() + delayMs >= endMs
        if (signal.aborted) throw err
        if (isLast || !isUnknownOutcome(err)) throw asStatusError(err, what)
        await sleep(clock, delayMs, signal)
      }
    }
  }
}

function clientOptions(endpoints: readonly string[], tls: EtcdTls | undefined): IOptions {
  const pem = (text: string | undefined): Buffer => Buffer.from(text ?? '')
  return {
    hosts: [...endpoints],
    faultHandling: { global: noop, host: () => noop },
    grpcOptions: {
      'grpc.max_receive_message_length': -1,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
      'grpc.enable_channelz': 0,
      ...(tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
    },
    ...(tls === undefined ? {} : { credentials: tlsCredentials(tls, pem) }),
  }
}

function tlsCredentials(tls: EtcdTls, pem: (text: string) => Buffer): NonNullable<IOptions['credentials']> {
  if (tls.cert === undefined || tls.key === undefined) return { rootCertificate: pem(tls.ca) }
  return { rootCertificate: pem(tls.ca), certChain: pem(tls.cert), privateKey: pem(tls.key) }
}

export function keyValueOf(raw: RawKeyValue): KeyValue {
  return {
    key: raw.key.toString(),
    value: raw.value,
    createRevision: revisionOf(raw.create_revision),
    modRevision: revisionOf(raw.mod_revision),
  }
}

/** etcd's 64-bit numbers come as strings. No store lives to see 2^53 revisions. */
export const revisionOf = (text: string | undefined): number => Number(must(text, 'etcd gives every revision'))

/** The first key after all that begin with `prefix`, which must not end in byte 255 (keys are ASCII). */
export function prefixEnd(prefix: string): Buffer {
  const end = Buffer.from(prefix)
  const last = end.length - 1
  end[last] = (end[last] ?? 0) + 1
  return end
}
