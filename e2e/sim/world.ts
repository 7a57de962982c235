import { createHash } from 'node:crypto'
import type { Client } from '../../client/client.ts'
import { MemoryStore } from '../../controlplane/store/memory.ts'
import type { Store } from '../../controlplane/store/store.ts'
import { must } from '../../lib/assert.ts'
import { FakeClock } from '../../lib/clock.ts'
import { type Log, type LogFields, silentLog } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import { runSimAgent, type SimNode } from './agent.ts'
import type { Chance } from './chance.ts'
import { runSimApi, runSimControlPlane } from './control-plane.ts'
import { SimEngine } from './engine.ts'
import { Monitor } from './monitor.ts'
import { SimNet } from './net.ts'
import type { Plant } from './plant.ts'
import { SimProcess } from './process.ts'
import { ProcessStore, type StoreFaults, type StoreState } from './store.ts'
import { SimVolumes } from './volumes.ts'

export interface WorldOptions {
  readonly chance: Chance
  readonly nodes: number
  readonly planes: number
  readonly nodeCpuMilli: number
  readonly plant: Plant
  /** Gets each line of the trace as it is written. */
  readonly trace?: (line: string) => void
}

export interface Plane {
  readonly name: string
  readonly faults: StoreFaults
  process: SimProcess
  store: ProcessStore
  stop: AbortController
}

export interface Agent {
  readonly node: SimNode
  process: SimProcess
  stop: AbortController
}

export const leaseMs = 4000
const hashAtLength = 2 ** 14
/** Within this a process that was stopped in good order has ended. */
const stoppedByMs = 15_000

/** The whole cluster in one process on virtual time. */
export class SimWorld {
  readonly clock = new FakeClock()
  readonly store = new MemoryStore()
  readonly storeState: StoreState = { isDown: false, gap: 0, restores: 0 }
  readonly net: SimNet
  readonly monitor: Monitor
  readonly nodes: readonly SimNode[]
  readonly planes: Plane[] = []
  readonly agents: Agent[] = []
  readonly #chance: Chance
  readonly #plant: Plant
  #print: ((line: string) => void) | undefined
  readonly #hash = createHash('sha256')
  /** Many lines are hashed at a time. */
  #unhashed = ''
  readonly #restarts = new Map<string, number>()
  /** Of all processes that there have ever been. */
  readonly #stops: AbortController[] = []
  /** Whatever dies is started again at once. */
  #isCalm = false
  #api: { process: SimProcess; client: Client } | undefined
  readonly apiFaults: StoreFaults = { errorShare: 0, watchLagMs: 0 }
  /** How often each kind of fault has really struck. */
  readonly faults = new Map<string, number>()
  steps = 0
  /** The store is empty for a while: a node that forgot its cluster now would join another. */
  isWiped = false

  constructor({ chance, nodes, planes, nodeCpuMilli, plant, trace }: WorldOptions) {
    this.#chance = chance
    this.#plant = plant
    this.#print = trace
    this.net = new SimNet(this.clock, chance.fork())
    this.monitor = new Monitor({ store: this.store, clock: this.clock, trace: (line) => this.trace(line) })
    this.nodes = Array.from({ length: nodes }, (_, index) => {
      const name = `node-${index}`
      const engine = new SimEngine(name, this.clock, { random: chance.fork(), watcher: this.monitor })
      return {
        name,
        cpuMilli: nodeCpuMilli,
        engine,
        disk: new Map<string, string>(),
        backup: new Map<string, string>(),
        volumes: new SimVolumes(),
      }
    })
    this.monitor.watch(this.nodes)
    for (let index = 0; index < planes; index++) this.planes.push(this.#newPlane(`plane-${index}`))
    for (const node of this.nodes) this.agents.push(this.#newAgent(node))
    this.startApi()
  }

  get random(): Random {
    return this.#chance.random
  }

  get client(): Client {
    return must(this.#api, 'the API server was started').client
  }

  get apiProcess(): SimProcess {
    return must(this.#api, 'the API server was started').process
  }

  #hashLines(): void {
    this.#hash.update(this.#unhashed)
    this.#unhashed = ''
  }

  get hash(): string {
    this.#hashLines()
    return this.#hash.copy().digest('hex')
  }

  happened(fault: string): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1)
  }

  /** Told of each line of the trace. */
  onTrace: ((line: string) => void) | undefined

  trace(line: string): void {
    const text = `${(this.clock.monotonicMs() / 1000).toFixed(3).padStart(9)} ${line}`
    this.#unhashed += `${text}\n`
    if (this.#unhashed.length > hashAtLength) this.#hashLines()
    this.#print?.(text)
    this.onTrace?.(line)
  }

  /** What parts log is shown, and is no part of the hash. */
  #show(line: string): void {
    this.#print?.(`${(this.clock.monotonicMs() / 1000).toFixed(3).padStart(9)}   ${line}`)
  }

  /** Moves time on by `ms`, from timer to timer, and lets all that follows from one happen before the next. */
  async pass(ms: number): Promise<void> {
    const end = this.clock.now() + ms
    for (;;) {
      await drained()
      const next = this.clock.nextTimerAt
      if (next === undefined || next > end || this.monitor.problem !== undefined) break
      this.steps++
      this.clock.step(Math.max(0, next - this.clock.now()))
    }
    this.clock.step(Math.max(0, end - this.clock.now()))
    await drained()
  }

  /** From now on whatever died comes back at once, and what was stopped, or is to come back later, when it can have ended. */
  calm(): void {
    this.#isCalm = true
    this.clock.after(stoppedByMs, () => {
      for (const plane of this.planes) this.startPlane(plane)
      for (const agent of this.agents) this.startAgent(agent)
    })
  }

  /** Node keeps signals that are waited for; aborting them lets the whole world be forgotten. */
  close(): void {
    this.#print = undefined
    for (const stop of this.#stops) stop.abort(new Error('the run is over'))
  }

  #newStop(): AbortController {
    const stop = new AbortController()
    this.#stops.push(stop)
    return stop
  }

  startApi(): void {
    const process = this.#process('api', () => this.#later('api', 500, () => this.startApi()))
    const store = this.#storeFor(process, this.apiFaults)
    const { signal } = this.#newStop()
    this.#api = { process, client: runSimApi({ process, store: this.#planted(store), log: this.#log(process), signal }) }
  }

  startPlane(plane: Plane): void {
    if (!plane.process.isDead && !plane.stop.signal.aborted) return
    Object.assign(plane, this.#planeParts(plane.name, plane.faults))
    this.#runPlane(plane)
  }

  startAgent(agent: Agent): void {
    if (!agent.process.isDead && !agent.stop.signal.aborted) return
    Object.assign(agent, this.#agentParts(agent.node))
    this.#runAgent(agent)
  }

  /** Whoever leads by the store, even if it does not know any more. */
  get leader(): Plane | undefined {
    return this.planes.find(({ store }) => store.epoch !== undefined)
  }

  /** A process that stands still cannot keep its lease alive, and learns of it only when it goes on. */
  leaseRunsOut({ store, process }: Plane): void {
    const noticedAfterMs = 2000 * this.#chance.random.next()
    this.clock.after(leaseMs, () => {
      if (!process.isRunning) store.loseLease(noticedAfterMs)
    })
  }

  restartIn(name: string, downMs: number): void {
    this.#restarts.set(name, downMs)
  }

  #later(name: string, downMs: number, run: () => void): void {
    const waitMs = this.#isCalm ? 200 : (this.#restarts.get(name) ?? downMs)
    this.#restarts.delete(name)
    this.clock.after(waitMs, run)
  }

  #process(name: string, restart: () => void): SimProcess {
    return new SimProcess({
      name,
      clock: this.clock,
      random: this.#chance.fork(),
      died: (process) => {
        this.trace(`${name} died`)
        this.net.processDied(process)
        restart()
      },
    })
  }

  #newPlane(name: string): Plane {
    const faults: StoreFaults = { errorShare: 0, watchLagMs: 0 }
    const plane: Plane = { name, faults, ...this.#planeParts(name, faults) }
    this.#runPlane(plane)
    return plane
  }

  #planeParts(name: string, faults: StoreFaults): Pick<Plane, 'process' | 'store' | 'stop'> {
    const process = this.#process(name, () => {
      this.clock.after(leaseMs * this.#chance.random.next(), () => store.loseLease(0))
      this.#later(name, 1000, () => this.startPlane(must(this.#plane(name), 'planes stay')))
    })
    const store = this.#storeFor(process, faults)
    return { process, store, stop: this.#newStop() }
  }

  #plane(name: string): Plane | undefined {
    return this.planes.find((plane) => plane.name === name)
  }

  #runPlane({ process, store, stop }: Plane): void {
    this.trace(`${process.name} starts`)
    const run = runSimControlPlane({
      ...{ process, net: this.net, log: this.#log(process) },
      store: this.#planted(store),
      position: (opts) => store.position(opts),
      signal: stop.signal,
    })
    run.then(
      () => this.trace(`${process.name} ended`),
      (err: unknown) => this.monitor.fail(`${process.name} ended: ${String(err)}`),
    )
  }

  #newAgent(node: SimNode): Agent {
    const agent: Agent = { node, ...this.#agentParts(node) }
    this.#runAgent(agent)
    return agent
  }

  #agentParts(node: SimNode): Pick<Agent, 'process' | 'stop'> {
    const restart = (): void => this.startAgent(must(this.#agent(node), 'agents stay'))
    return { process: this.#process(node.name, () => this.#later(node.name, 1000, restart)), stop: this.#newStop() }
  }

  #agent(node: SimNode): Agent | undefined {
    return this.agents.find((agent) => agent.node === node)
  }

  #runAgent({ node, process, stop }: Agent): void {
    this.trace(`${process.name} starts`)
    const addresses = this.planes.map(({ name }) => name)
    const run = runSimAgent({
      node,
      process,
      addresses,
      plant: this.#plant,
      net: this.net,
      log: this.#log(process),
      signal: stop.signal,
    })
    run.then(
      () => this.trace(`${process.name} ended`),
      (err: unknown) => this.monitor.fail(`${process.name} ended: ${String(err)}`),
    )
  }

  #storeFor(process: SimProcess, faults: StoreFaults): ProcessStore {
    return new ProcessStore({
      ...{ store: this.store, state: this.storeState, process, faults },
      committed: (commit) => this.monitor.committed(commit),
    })
  }

  #planted(store: Store): Store {
    return this.#plant.store?.(store) ?? store
  }

  #log({ name }: SimProcess): Log {
    return this.#print === undefined ? silentLog : traceLog((line) => this.#show(line), name)
  }
}

function traceLog(trace: (line: string) => void, name: string): Log {
  const write = (message: string, fields: LogFields = {}): void => {
    const parts = Object.entries(fields).map(([key, value]) => `${key}=${value instanceof Error ? value.message : plain(value)}`)
    trace(`${name}: ${message} ${parts.join(' ')}`)
  }
  const log: Log = { debug: () => undefined, info: write, warn: write, error: write, with: () => log }
  return log
}

const plain = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner)) ?? ''

/** All promises that can go on have gone on. */
const drained = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
