import { must } from '../../lib/assert.ts'
import type { Fault, TimedFault } from './faults.ts'
import type { Agent, Plane, SimWorld } from './world.ts'

/** Ends what a fault began. */
type Undo = () => void
type Handler<K extends Fault['kind']> = (fault: Extract<Fault, { readonly kind: K }>, world: SimWorld) => Undo | undefined

const agentOf = ({ agents }: SimWorld, { node }: { readonly node: number }): Agent => must(agents[node], 'the node exists')
const planeOf = ({ planes }: SimWorld, { plane }: { readonly plane: number }): Plane => must(planes[plane], 'the plane exists')

/** What each kind does at its time. What it gives back ends it, after the fault's `forMs` or when calm comes. */
const handlers: { readonly [K in Fault['kind']]: Handler<K> } = {
  agentCrash: (fault, world) => killAgent(world, fault),
  agentCrashAtCall(fault, world) {
    const { node, process } = agentOf(world, fault)
    world.restartIn(node.name, fault.downMs)
    process.killAt(fault.calls, fault.isAfter ? 'after' : 'before')
    return undefined
  },
  agentPause(fault, world) {
    const { process } = agentOf(world, fault)
    process.pause()
    return () => process.resume()
  },
  agentStop(fault, world) {
    const agent = agentOf(world, fault)
    agent.stop.abort(new Error('stopped'))
    world.clock.after(fault.downMs + drainMs, () => world.startAgent(agent))
    return undefined
  },
  diskLoss(fault, world) {
    const { node } = agentOf(world, fault)
    killAgent(world, fault)
    node.disk.clear()
    if (fault.isOld) for (const [name, text] of node.backup) node.disk.set(name, text)
    return undefined
  },
  reboot(fault, world) {
    agentOf(world, fault).node.engine.runtime.powerOff()
    return killAgent(world, fault)
  },
  cut(fault, world) {
    const { name } = agentOf(world, fault).node
    world.net.cut(name)
    return () => world.net.heal(name)
  },
  reset(fault, world) {
    world.net.breakNode(agentOf(world, fault).node.name)
    return undefined
  },
  engineErrors(fault, world) {
    const { faults } = agentOf(world, fault).node.engine
    faults.share = fault.share
    return () => {
      faults.share = 0
    }
  },
  engineHangs(fault, world) {
    const { faults } = agentOf(world, fault).node.engine
    faults.isHung = true
    return () => {
      faults.isHung = false
    }
  },
  eventsLost(fault, world) {
    const { faults } = agentOf(world, fault).node.engine
    faults.losesEvents = true
    return () => {
      faults.losesEvents = false
    }
  },
  containerDies: (fault, world) => hitContainer(world, fault),
  containerVanishes: (fault, world) => hitContainer(world, fault),
  planeCrash(fault, world) {
    const { name, process } = planeOf(world, fault)
    world.restartIn(name, fault.downMs)
    process.kill()
    return undefined
  },
  planeCrashAtCall(fault, world) {
    const { name, process } = planeOf(world, fault)
    world.restartIn(name, fault.downMs)
    process.killAt(fault.calls, fault.isAfter ? 'after' : 'before')
    return undefined
  },
  planePause(fault, world) {
    const plane = planeOf(world, fault)
    const { process } = plane
    process.pause()
    world.leaseRunsOut(plane)
    return () => process.resume()
  },
  planeStop(fault, world) {
    const plane = planeOf(world, fault)
    plane.stop.abort(new Error('stopped'))
    world.clock.after(fault.downMs + drainMs, () => world.startPlane(plane))
    return undefined
  },
  leaseLost(fault, world) {
    world.leader?.store.loseLease(fault.noticedAfterMs)
    return undefined
  },
  storeErrors(fault, world) {
    const { faults } = planeOf(world, fault)
    faults.errorShare = fault.share
    return () => {
      faults.errorShare = 0
    }
  },
  watchLag(fault, world) {
    const { faults } = planeOf(world, fault)
    faults.watchLagMs = fault.lagMs
    return () => {
      faults.watchLagMs = 0
    }
  },
  compact(fault, world) {
    const { store, clock } = world
    const { faults } = planeOf(world, fault)
    faults.watchLagMs = fault.lagMs
    const compact = (): void => void store.compact(store.revision, { signal: new AbortController().signal })
    compact()
    for (let atMs = 500; atMs <= 6000; atMs += 500) clock.after(atMs, compact)
    clock.after(7000, () => {
      faults.watchLagMs = 0
    })
    return undefined
  },
  apiCrash(fault, world) {
    world.restartIn('api', fault.downMs)
    world.apiProcess.kill()
    return undefined
  },
  clockJump({ who, index, offsetMs }, { agents, planes }) {
    const all = who === 'agent' ? agents : planes
    must(all[index % all.length], 'the process exists').process.setWallClock(offsetMs)
    return undefined
  },
}

const backupMs = 40_000
/** A process that is stopped in good order may take this long for it. */
const drainMs = 15_000

function killAgent(world: SimWorld, fault: { readonly node: number; readonly downMs: number }): undefined {
  const { node, process } = agentOf(world, fault)
  world.restartIn(node.name, fault.downMs)
  process.kill()
}

function hitContainer(world: SimWorld, fault: Extract<Fault, { readonly node: number; readonly index: number }>): undefined {
  const { engine } = agentOf(world, fault).node
  const hit = async (): Promise<void> => {
    const running = (await engine.states()).filter(({ status }) => status === 'running')
    const victim = running[fault.index % Math.max(1, running.length)]
    if (victim === undefined) return
    world.trace(`${victim.identity.podName}/${victim.identity.container} ${victim.id.slice(0, 8)} is hit`)
    if (fault.kind === 'containerDies') engine.runtime.crash(victim.id)
    else await engine.vanish(victim.id)
  }
  void hit()
}

/** Makes faults happen, and takes back all that are still going on when `end` is called. */
export class Inflictor {
  readonly #world: SimWorld
  readonly #undos = new Set<Undo>()

  constructor(world: SimWorld) {
    this.#world = world
  }

  schedule(faults: readonly TimedFault[]): void {
    this.#backUp()
    for (const { atMs, fault } of faults) {
      this.#world.clock.after(atMs, () => {
        this.#world.trace(`FAULT ${JSON.stringify(fault)}`)
        this.#inflict(fault)
      })
    }
  }

  end(): void {
    for (const undo of this.#undos) undo()
    this.#undos.clear()
    for (const { process } of [...this.#world.agents, ...this.#world.planes]) process.disarm()
  }

  /** Somebody keeps copies of the nodes' disks, and puts back an old one. */
  #backUp(): void {
    for (const { node } of this.#world.agents) node.backup = new Map(node.disk)
    this.#world.clock.after(backupMs, () => this.#backUp())
  }

  #inflict(fault: Fault): void {
    const handler = handlers[fault.kind] as Handler<Fault['kind']> // The one of its kind.
    const undo = handler(fault, this.#world)
    if (undo === undefined) return
    this.#undos.add(undo)
    if (!('forMs' in fault)) return
    this.#world.clock.after(fault.forMs, () => {
      if (this.#undos.delete(undo)) undo()
    })
  }
}

/** Nodes that may not know any more which pods they were told are gone: they leave those alone, and say so. */
export function forgetfulNodes(faults: readonly TimedFault[]): ReadonlySet<string> {
  return new Set(faults.flatMap(({ fault }) => (fault.kind === 'diskLoss' ? [`node-${fault.node}`] : [])))
}

/** Whether a node may be silent for long enough that its pods are taken off it. */
export function mayEvict(faults: readonly TimedFault[]): boolean {
  return faults.some(({ fault }) => ('forMs' in fault && fault.forMs >= 25_000) || ('downMs' in fault && fault.downMs >= 25_000))
}
