import { isInvalid } from '../../api/meta/status.ts'
import { sleep, withDeadline } from '../../lib/async.ts'
import { carryOut, createService } from './acts.ts'
import { type Census, censusDifferences, expectedCensus } from './census.ts'
import { Chance } from './chance.ts'
import { differences } from './end-state.ts'
import { inventFaults, type TimedFault } from './faults.ts'
import { deceivedNodes, forgetfulNodes, Inflictor, mayEvict, type Trigger, triggered } from './inflict.ts'
import { look } from './look.ts'
import { isOperators, Operator } from './operator.ts'
import type { Plant } from './plant.ts'
import { inventSize, type Size } from './size.ts'
import { isBad, type Wish, wishOf } from './wish.ts'
import { inventWorkload, type Step } from './workload.ts'
import { SimWorld } from './world.ts'

export interface RunOptions {
  readonly seed: number
  readonly plant?: Plant
  readonly trace?: (line: string) => void
  /** Runs the same workload without anything going wrong. */
  readonly isFaultFree?: boolean
}

export interface Outcome {
  readonly seed: number
  /** undefined: all was well. */
  readonly problem: string | undefined
  /** Of everything that happened, in order. */
  readonly hash: string
  readonly virtualMs: number
  readonly steps: number
  /** From the end of all faults until everything was as wished. */
  readonly settledMs: number
  /** By `ADDED pods` and the like. */
  readonly counts: ReadonlyMap<string, number>
  /** How often each named object came and went. */
  readonly census: Census
  /** Bare pods may have gone with a node that was silent or deleted. */
  readonly mayLosePods: boolean
  /** How often each kind of fault has struck. */
  readonly faults: ReadonlyMap<string, number>
}

/** A whole run, written down: what a seed chooses, or somebody has thought of. */
export interface Plan {
  readonly size: Pick<Size, 'nodes' | 'planes' | 'spanMs'>
  readonly workload: readonly Step[]
  readonly faults: readonly TimedFault[]
  readonly triggers?: readonly Trigger[]
}

const startMs = 8_000
/** Nearly all seeds are at rest by then; only an engine that failed is asked again as late as back-offs say. */
const settleMs = { usually: 120_000, withBackoffs: 600_000 }
/** What faults have begun goes on for so long: restarts, silence, evictions. */
const healMs = 75_000
const lookEveryMs = 5_000
const staysMs = 30_000
const crashMs = 10_000
const actDeadlineMs = 30_000
const agentBackMs = 2_000

/** One run of one seed. */
export async function runSeed(options: RunOptions): Promise<Outcome> {
  const chance = new Chance(options.seed)
  const size = inventSize(chance)
  const workload = inventWorkload(new Chance(chance.int(0, 2 ** 31)), size)
  const invented = inventFaults(new Chance(chance.int(0, 2 ** 31)), size)
  const faults = options.isFaultFree === true ? [] : invented
  return await run({ size, workload, faults }, chance, options)
}

/** A plan that somebody wrote down; the seed chooses how long everything takes. */
export async function runPlan(plan: Plan, options: RunOptions): Promise<Outcome> {
  return await run(plan, new Chance(options.seed), options)
}

/** From an empty cluster to one at rest, with all checks. */
async function run(plan: Plan, chance: Chance, { seed, plant = {}, trace }: RunOptions): Promise<Outcome> {
  const { size, workload, faults, triggers = [] } = plan
  const nodeCpuMilli = Math.ceil(9000 / Math.max(1, size.nodes - mostCordoned(workload)))
  const world = new SimWorld({
    nodes: size.nodes,
    planes: size.planes,
    nodeCpuMilli,
    chance,
    plant,
    ...(trace === undefined ? {} : { trace }),
  })
  const operator = new Operator(world)
  await world.pass(startMs)
  const allFaults = [...faults, ...triggered(triggers)]
  const inflictor = new Inflictor(world)
  inflictor.schedule(faults)
  inflictor.watch(triggers)
  const user = new User(world, operator)
  const done = user.run(workload)
  await world.pass(size.spanMs)
  inflictor.end()
  world.calm()
  const settledMs = await settle(world, { workload, faults: allFaults, isDone: () => user.isDone })
  await Promise.race([done, Promise.resolve()])
  const { monitor, hash, steps } = world
  world.close()
  return {
    seed,
    problem: monitor.problem,
    hash,
    steps,
    settledMs,
    virtualMs: world.clock.monotonicMs(),
    counts: monitor.counts,
    faults: world.faults,
    census: monitor.census,
    mayLosePods: mayEvict(allFaults) || wishOf(workload).hasDeletedNode,
  }
}

/** Carries out the acts one after the other, each until it has succeeded, as people do. */
class User {
  readonly #world: SimWorld
  readonly #operator: Operator
  isDone = false

  constructor(world: SimWorld, operator: Operator) {
    this.#world = world
    this.#operator = operator
  }

  async run(workload: readonly Step[]): Promise<void> {
    const { clock } = this.#world
    const { signal } = new AbortController()
    const startedMs = clock.monotonicMs()
    await this.#until('create the service', (opts) => createService(this.#world.client, opts))
    for (const { atMs, act: what } of workload) {
      const waitMs = startedMs + atMs - clock.monotonicMs()
      if (waitMs > 0) await sleep(clock, waitMs, signal)
      if (isOperators(what)) {
        this.#world.trace(`USER ${JSON.stringify(what)}`)
        await this.#operator.operate(what)
        continue
      }
      await this.#until(JSON.stringify(what), (opts) => carryOut(this.#world.client, what, opts))
      // An agent makes its Node again when it opens a session.
      if (what.do === 'deleteNode') clock.after(agentBackMs, () => this.#world.net.breakNode(what.node))
    }
    this.isDone = true
  }

  async #until(what: string, work: (opts: { readonly signal: AbortSignal }) => Promise<void>): Promise<void> {
    const { clock, monitor } = this.#world
    const { signal } = new AbortController()
    for (;;) {
      this.#world.trace(`USER ${what}`)
      try {
        return await withDeadline({ clock, ms: actDeadlineMs, signal, what }, (inner) => work({ signal: inner }))
      } catch (err) {
        if (isInvalid(err)) monitor.fail(`${what}: ${String(err)}`)
        this.#world.trace(`USER ${err instanceof Error ? err.message : String(err)}`)
      }
      await sleep(clock, 1000, signal)
    }
  }
}

interface Rest {
  readonly workload: readonly Step[]
  readonly faults: readonly TimedFault[]
  readonly isDone: () => boolean
}

/** Waits until all is as it should be, and sees whether it stays so. Gives how long that took. */
async function settle(world: SimWorld, { workload, faults, isDone }: Rest): Promise<number> {
  const { monitor } = world
  const wish = wishOf(workload)
  const allowed = {
    hasEvicted: mayEvict(faults),
    forgetful: forgetfulNodes(faults),
    deceived: deceivedNodes(faults),
    forgotten: monitor.forgotten,
    revived: monitor.revived,
  }
  const names = world.nodes.map(({ name }) => name)
  const counts = expectedCensus(workload, names)
  const mayLosePods = allowed.hasEvicted || wish.hasDeletedNode
  const wrong = async (): Promise<readonly string[]> =>
    isDone()
      ? [
          ...differences(await look(world.store, world.nodes), wish, allowed),
          ...censusDifferences(monitor.census, counts, { mayLosePods }),
        ]
      : ['the user is not done']
  const limitMs = hasBackoffs(faults) ? settleMs.withBackoffs : settleMs.usually
  await world.pass(healMs)
  const startedMs = world.clock.monotonicMs()
  const passedMs = (): number => world.clock.monotonicMs() - startedMs
  let now = await wrong()
  while (now.length > 0 && passedMs() < limitMs && monitor.problem === undefined) {
    await world.pass(lookEveryMs)
    now = await wrong()
  }
  const settledMs = healMs + passedMs()
  if (now.length > 0) {
    monitor.fail(`not at rest after ${settledMs / 1000} s: ${now.join('; ')}`)
    return settledMs
  }
  const before = writesTo(world)
  await world.pass(staysMs)
  now = await wrong()
  // A pod that crashes again and again is just being dealt with at any time.
  for (let more = 0; more < crashMs && now.length > 0 && !isPeaceful(wish); more += 1000) {
    await world.pass(1000)
    now = await wrong()
  }
  if (now.length === 0 && isPeaceful(wish) && writesTo(world) !== before) now = ['pods or workloads are still written to']
  if (now.length > 0) monitor.fail(`did not stay at rest: ${now.join('; ')}`)
  return settledMs
}

const backoffKinds: readonly string[] = ['engineErrors', 'engineHangs', 'engineSlow', 'engineLies', 'probesFail']
const hasBackoffs = (faults: readonly TimedFault[]): boolean => faults.some(({ fault }) => backoffKinds.includes(fault.kind))

/** Nothing restarts for ever. */
const isPeaceful = (wish: Wish): boolean => [...wish.apps, ...wish.orphans].every(([key, app]) => !isBad(key, app, wish))

/** Nodes that take no pods at a time. */
function mostCordoned(steps: readonly Step[]): number {
  return Math.max(...steps.map((_, index) => wishOf(steps.slice(0, index + 1)).cordoned.size), 0)
}

const writesTo = ({ monitor }: SimWorld): string =>
  ['pods', 'replicasets', 'deployments', 'endpointslices'].map((plural) => monitor.counts.get(`MODIFIED ${plural}`)).join(' ')
