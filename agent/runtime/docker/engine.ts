import { Agent, type ClientRequest, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { inspect } from 'node:util'
import Docker from 'dockerode'
import { assert } from '../../../lib/assert.ts'
import { withDeadline } from '../../../lib/async.ts'
import type { Clock } from '../../../lib/clock.ts'
import type { Metrics } from '../../../lib/metrics.ts'
import { runtimeError, statusOf } from './errors.ts'

/** How to reach an engine. */
export interface EngineOptions {
  readonly socketPath: string
  readonly clock: Clock
  readonly metrics?: Metrics
}

interface CallOptions {
  /** Names the attempt in errors. */
  readonly what: string
  readonly ms: number
  readonly signal: AbortSignal
}

/** One Docker Engine: every call has a deadline, for a stopped engine accepts connections and never answers. */
export class Engine {
  readonly docker: Docker
  readonly #clock: Clock
  readonly #calls: ReturnType<Metrics['counter']> | undefined
  readonly #seconds: ReturnType<Metrics['histogram']> | undefined

  constructor({ socketPath, clock, metrics }: EngineOptions) {
    // No kept-alive connections: those that an engine closed while it restarted would fail the next calls.
    const options = { socketPath, agent: new TerseAgent({ keepAlive: false }) }
    this.docker = new Docker(options)
    this.#clock = clock
    this.#calls = metrics?.counter('engine_calls_total', 'Calls to the Docker Engine.', { outcome: ['ok', 'refused', 'failed'] })
    this.#seconds = metrics?.histogram('engine_call_seconds', 'Time that calls to the Docker Engine took.')
  }

  /** Runs one call; the engine's refusal is thrown as it came, so that the caller can look at its status. */
  async raw<T>(options: CallOptions, call: (docker: Docker, signal: AbortSignal) => Promise<T>): Promise<T> {
    const startedMs = this.#clock.monotonicMs()
    let outcome = 'ok'
    try {
      return await withDeadline({ ...options, clock: this.#clock }, (signal) => call(this.docker, signal))
    } catch (err) {
      outcome = statusOf(err) === undefined ? 'failed' : 'refused'
      options.signal.throwIfAborted()
      throw err
    } finally {
      this.#calls?.inc({ outcome })
      this.#seconds?.observe((this.#clock.monotonicMs() - startedMs) / 1000)
    }
  }

  /** Runs one call; what fails is a RuntimeError. */
  async call<T>(options: CallOptions, call: (docker: Docker, signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await this.raw(options, call)
    } catch (err) {
      options.signal.throwIfAborted()
      throw runtimeError(options.what, err)
    }
  }

  /** The JSON of a GET; refusals are thrown as they came. */
  get(options: CallOptions, path: string): Promise<unknown> {
    return this.raw(options, (docker, abortSignal) => dial(docker, { path, isStream: false, abortSignal }))
  }

  /**
   * Opens a streaming GET; the deadline is for its start only. dockerode gives logs without `follow` as one buffer
   * of any size, hence this.
   */
  async open(options: CallOptions, path: string, query: Readonly<Record<string, string>>): Promise<Readable> {
    const stream = await this.call(options, async (docker, signal) => {
      return readable(await dial(docker, { path: `${path}?`, isStream: true, abortSignal: signal, options: { _query: query } }))
    })
    const stop = (): void => void stream.destroy()
    options.signal.addEventListener('abort', stop, { once: true })
    stream.once('close', () => options.signal.removeEventListener('abort', stop))
    return stream
  }
}

/** How Node hands a request to its agent; the types leave it out. */
const addRequest: (this: Agent, request: ClientRequest, ...more: readonly unknown[]) => void = Reflect.get(
  Agent.prototype,
  'addRequest',
)

/**
 * The client library renders the options of every request for a debug log that nobody reads. An agent with its sockets
 * takes 14 ms of that; this one says its name.
 */
class TerseAgent extends Agent {
  /** The library waits for ever for the rest of an answer whose connection broke; so an error of the request says it. */
  addRequest(request: ClientRequest, ...more: readonly unknown[]): void {
    // Before the library's own listener, which would follow an answer to wherever it points, past the engine's socket.
    request.prependOnceListener('response', (response: IncomingMessage) => {
      delete response.headers.location
      response.once('aborted', () => {
        if (request.listenerCount('error') > 0) request.emit('error', new Error('the engine broke off its answer'))
      })
    })
    Reflect.apply(addRequest, this, [request, ...more])
  }

  [inspect.custom](): string {
    return 'Agent'
  }
}

/** The client library's types say less than what it gives: the response itself. */
export function readable(stream: unknown): Readable {
  assert(stream instanceof Readable, 'the client library gives streams of Node')
  return stream
}

interface Request {
  readonly path: string
  readonly isStream: boolean
  readonly abortSignal: AbortSignal
  /** With a query the path has to end in a question mark: the library cuts its last character off. */
  readonly options?: { readonly _query: Readonly<Record<string, string>> }
}

/** A GET past dockerode's methods, where those lack the signal or the stream. */
function dial(docker: Docker, request: Request): Promise<unknown> {
  const statusCodes = { 200: true, 400: 'bad parameter', 404: 'not found', 500: 'server error' }
  return new Promise((resolve, reject) => {
    docker.modem.dial({ ...request, method: 'GET', statusCodes }, (err, answer) => {
      if (err === null || err === undefined) resolve(answer)
      else reject(err)
    })
  })
}
