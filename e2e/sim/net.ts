import type { AgentLine, Link } from '../../agent/session/channel.ts'
import type { AgentMessage, ControlMessage } from '../../api/proto/agent.ts'
import type { LineHandlers, Listen, SessionLine } from '../../controlplane/gateway/line.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { SimProcess } from './process.ts'

/** What befalls one message besides. */
export interface Trouble {
  readonly isTwice: boolean
  readonly lateMs: number
}

const noTrouble: Trouble = { isTwice: false, lateMs: 0 }
const mostLateMs = 3000

type Heard = (message: ControlMessage) => ControlMessage

const keepAliveMs = 5_000

interface Reader<T> {
  resolve(result: IteratorResult<T, undefined>): void
  reject(reason: unknown): void
}

/** One direction of a connection: ordered, late, and cut off when the connection is. */
class Pipe<T> {
  readonly #clock: Clock
  readonly #random: Random
  readonly #isSilent: () => boolean
  readonly #trouble: () => Trouble
  readonly #arrived: T[] = []
  #lastAtMs = 0
  #broken: Error | undefined
  #reader: Reader<T> | undefined

  constructor(clock: Clock, random: Random, ways: { readonly isSilent: () => boolean; readonly trouble: () => Trouble }) {
    this.#clock = clock
    this.#random = random
    this.#isSilent = ways.isSilent
    this.#trouble = ways.trouble
  }

  send(message: T): void {
    if (this.#broken !== undefined) throw this.#broken
    const nowMs = this.#clock.monotonicMs()
    const delayMs = this.#random.next() < 0.1 ? this.#random.next() * 40 : this.#random.next()
    const { isTwice, lateMs } = this.#trouble()
    this.#lastAtMs = Math.max(this.#lastAtMs, nowMs + delayMs + lateMs)
    this.#clock.after(this.#lastAtMs - nowMs, () => this.#arrive(message))
    if (isTwice) this.#clock.after(this.#lastAtMs - nowMs, () => this.#arrive(message))
  }

  break(why: Error): void {
    this.#broken ??= why
    this.#reader?.reject(this.#broken)
    this.#reader = undefined
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const message = this.#arrived.shift()
    if (message !== undefined) return Promise.resolve({ done: false, value: message })
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
    })
  }

  /** What is lost when the line is silent is lost for good, and everything behind it: the line is dead but nobody knows. */
  #arrive(message: T): void {
    if (this.#broken !== undefined || this.#isSilent()) return
    if (this.#reader === undefined) {
      this.#arrived.push(message)
      return
    }
    const { resolve } = this.#reader
    this.#reader = undefined
    resolve({ done: false, value: message })
  }
}

interface Connection {
  readonly agent: SimProcess
  readonly server: SimProcess
  readonly node: string
  readonly up: Pipe<AgentMessage>
  readonly down: Pipe<ControlMessage>
  readonly gone: (() => void)[]
  /** Half-open: nothing arrives any more, and nobody is told. */
  isSilent: boolean
  /** Keep-alive pings in a row that were not answered. */
  missed: number
  isBroken: boolean
}

/** All connections between agents and control planes, in memory. */
export class SimNet {
  readonly #clock: Clock
  readonly #random: Random
  readonly #servers = new Map<string, { readonly process: SimProcess; readonly handlers: LineHandlers }>()
  readonly #connections = new Set<Connection>()
  readonly #cut = new Set<string>()
  /** Share of messages that come late, and of those that come twice, by node. */
  readonly #troubled = new Map<string, number>()

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
    this.#keepAlive()
  }

  /** As gRPC's: a peer that does not answer for two rounds is gone. */
  #keepAlive(): void {
    for (const one of this.#connections) {
      one.missed = one.isSilent || !one.agent.isRunning || !one.server.isRunning ? one.missed + 1 : 0
      if (one.missed > 2) this.#end(one, 'keep-alive ping was not answered')
    }
    this.#clock.after(keepAliveMs, () => this.#keepAlive())
  }

  listen(address: string, process: SimProcess): Listen {
    return async (handlers) => {
      this.#servers.set(address, { process, handlers })
      return {
        port: undefined,
        close: () => {
          if (this.#servers.get(address)?.process === process) this.#servers.delete(address)
          for (const one of this.#connections) if (one.server === process) this.#break(one, 'the server was stopped')
        },
      }
    }
  }

  /** Silent in both directions until healed: nobody is told that the connection is gone. */
  cut(node: string): void {
    this.#cut.add(node)
    for (const one of this.#connections) if (one.node === node) one.isSilent = true
  }

  heal(node: string): void {
    this.#cut.delete(node)
  }

  /** Messages from and to the node come late or twice, in their order. */
  trouble(node: string, share: number): void {
    if (share > 0) this.#troubled.set(node, share)
    else this.#troubled.delete(node)
  }

  #troubleOf(node: string): Trouble {
    const share = this.#troubled.get(node)
    if (share === undefined) return noTrouble
    const isLate = this.#random.next() < share
    return { isTwice: this.#random.next() < share, lateMs: isLate ? this.#random.next() * mostLateMs : 0 }
  }

  breakNode(node: string): void {
    for (const one of this.#connections) if (one.node === node) this.#break(one, 'the connection was reset')
  }

  /** Its connections are reset, as the kernel does for a process that died. */
  processDied(process: SimProcess): void {
    for (const [address, server] of this.#servers) if (server.process === process) this.#servers.delete(address)
    for (const one of this.#connections) {
      if (one.agent === process || one.server === process) this.#break(one, 'the connection was reset by the peer')
    }
  }

  dial(
    node: string,
    agent: SimProcess,
    { address, heard }: { readonly address: string; readonly heard: Heard | undefined },
  ): Link {
    const lines: (() => void)[] = []
    return {
      session: () => {
        const { line, close } = this.#session(node, agent, address)
        lines.push(close)
        return heard === undefined ? line : { ...line, messages: changed(line.messages, heard) }
      },
      stream: () => {
        throw new Error('there are no streams in the simulator')
      },
      close: () => {
        for (const close of lines) close()
      },
    }
  }

  #session(node: string, agent: SimProcess, address: string): { readonly line: AgentLine; close(): void } {
    const server = this.#servers.get(address)
    const connection = this.#connect(node, agent, server?.process ?? agent)
    const close = (): void => {
      this.#clock.after(1, () => this.#break(connection, 'the agent has left'))
    }
    const line: AgentLine = {
      messages: iterate(agent, connection.down),
      send: (message, { signal }) => agent.call(signal, async () => connection.up.send(message)),
      cancel: close,
    }
    if (server === undefined) this.#clock.after(1, () => this.#break(connection, 'connection refused'))
    else if (!connection.isSilent) this.#clock.after(1, () => this.#serve(connection, server.handlers))
    return { line, close }
  }

  #connect(node: string, agent: SimProcess, server: SimProcess): Connection {
    const ways = { isSilent: (): boolean => connection.isSilent, trouble: (): Trouble => this.#troubleOf(node) }
    const connection: Connection = {
      agent,
      server,
      node,
      up: new Pipe(this.#clock, this.#random, ways),
      down: new Pipe(this.#clock, this.#random, ways),
      gone: [],
      isSilent: this.#cut.has(node),
      missed: 0,
      isBroken: false,
    }
    this.#connections.add(connection)
    return connection
  }

  #serve(connection: Connection, handlers: LineHandlers): void {
    const { server, up, down, gone, node } = connection
    if (server.isDead || connection.isBroken) return
    const line: SessionLine = {
      node,
      messages: iterate(server, up),
      send: (message: ControlMessage, { signal }: AbortOptions) => server.call(signal, async () => down.send(message)),
      onGone: (run) => void gone.push(run),
    }
    handlers.session(line).catch((err: unknown) => this.#break(connection, err instanceof Error ? err.message : String(err)))
  }

  #break(connection: Connection, why: string): void {
    // A reset does not get through either.
    if (!connection.isSilent) this.#end(connection, why)
  }

  #end(connection: Connection, why: string): void {
    if (connection.isBroken) return
    connection.isBroken = true
    this.#connections.delete(connection)
    const { server, up, down, gone } = connection
    up.break(new Error(why))
    down.break(new Error(why))
    for (const run of gone) if (!server.isDead) void server.hear(async () => run())
  }
}

/** What arrives is heard by a process that is alive and not paused. */
function iterate<T>(process: SimProcess, pipe: Pipe<T>): AsyncIterator<T> {
  return { next: () => process.hear(() => pipe.next()) }
}

function changed(messages: AsyncIterator<ControlMessage>, heard: Heard): AsyncIterator<ControlMessage> {
  return {
    async next() {
      const result = await messages.next()
      return result.done === true ? result : { done: false, value: heard(result.value) }
    },
  }
}
