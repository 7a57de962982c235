import { must } from '../../lib/assert.ts'
import type { EngineLie } from './engine.ts'
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
    process.killAt(fault.calls, fault.isAfter ? 'after' : 'before', () => world.happened(fault.kind))
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
    if (world.isWiped) return undefined
    killAgent(world, fault)
    world.happened(fault.kind)
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
  engineSlow(fault, world) {
    const { engine } = agentOf(world, fault).node
    engine.faults.slowMs = fault.lateMs
    engine.hasFailed = true
    return () => {
      engine.faults.slowMs = 0
    }
  },
  engineLies(fault, world) {
    const { engine } = agentOf(world, fault).node
    void engine.lie(fault.how)
    world.happened(lieKind(fault.how))
    engine.believedUntilMs = Math.max(engine.believedUntilMs, world.clock.monotonicMs() + fault.forMs + lieEchoMs)
    return () => void engine.lie(undefined)
  },
  probesFail(fault, world) {
    const { engine } = agentOf(world, fault).node
    engine.faults.failingProbe = fault.probe
    engine.hasFailed = true
    // A restart that was decided upon may wait for its turn.
    engine.mayRestartUntilMs = Math.max(engine.mayRestartUntilMs, world.clock.monotonicMs() + fault.forMs + probeEchoMs)
    return () => {
      engine.faults.failingProbe = undefined
    }
  },
  diskStands(fault, world) {
    const { node } = agentOf(world, fault)
    node.diskStands = true
    return () => {
      node.diskStands = false
    }
  },
  messages(fault, world) {
    const { name } = agentOf(world, fault).node
    world.net.trouble(name, fault.share)
    return () => world.net.trouble(name, 0)
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
    process.killAt(fault.calls, fault.isAfter ? 'after' : 'before', () => {
      world.happened(fault.kind)
      world.monitor.causes.troubled(fault.downMs)
    })
    return undefined
  },
  planePause(fault, world) {
    const plane = planeOf(world, fault)
    const { process } = plane
    const hasLed = world.leader === plane
    process.pause()
    world.leaseRunsOut(plane)
    return () => {
      process.resume()
      if (hasLed && !process.isDead && world.leader !== undefined && world.leader !== plane) world.happened('twoLeaders')
    }
  },
  planeStop(fault, world) {
    const plane = planeOf(world, fault)
    plane.stop.abort(new Error('stopped'))
    world.clock.after(fault.downMs + drainMs, () => world.startPlane(plane))
    return undefined
  },
  leaseLost(fault, world) {
    const { leader } = world
    if (leader === undefined) return undefined
    leader.store.loseLease(fault.noticedAfterMs)
    world.happened(fault.kind)
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
  watchStands(fault, world) {
    const { faults } = planeOf(world, fault)
    faults.stands = true
    return () => {
      faults.stands = false
    }
  },
  compactAtDelete(fault, world) {
    const { faults } = planeOf(world, fault)
    const { store, monitor, clock } = world
    monitor.onDelete = () => {
      monitor.onDelete = undefined
      faults.breaks = (faults.breaks ?? 0) + 1
      // A moment later, when the monitor has seen it too.
      clock.after(1, () => void store.compact(store.revision, { signal: new AbortController().signal }))
      world.happened(fault.kind)
    }
    return () => {
      monitor.onDelete = undefined
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

const defaultMs = 20_000
const lengthOf = (fault: Fault): number => ('forMs' in fault ? fault.forMs : 'downMs' in fault ? fault.downMs : defaultMs)

/** Those that may come to nothing say so when they strike. */
const tellsItself: ReadonlySet<Fault['kind']> = new Set([
  'agentCrashAtCall',
  'diskLoss',
  'planeCrashAtCall',
  'leaseLost',
  'compactAtDelete',
  'containerDies',
  'containerVanishes',
])

/** Each way to lie is counted for itself too. */
export const lieKind = (how: EngineLie): string => `engineLies ${how}`

/** What was begun because of a lie takes so long. */
const lieEchoMs = 30_000
const probeEchoMs = 60_000
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
    world.happened(fault.kind)
    world.trace(`${victim.identity.podName}/${victim.identity.container} ${victim.id.slice(0, 8)} is hit`)
    if (fault.kind === 'containerDies') engine.runtime.crash(victim.id)
    else await engine.vanish(victim.id)
  }
  void hit()
}

/** Faults that strike at the moment when something happens, as the trace tells it. */
export interface Trigger {
  /** How a line of the trace begins. */
  readonly at: string
  /** Which of them, counted from one. */
  readonly nth?: number
  readonly faults: readonly Fault[]
}

export const triggered = (triggers: readonly Trigger[]): readonly TimedFault[] =>
  triggers.flatMap(({ faults }) => faults.map((fault) => ({ atMs: 0, fault })))

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

  watch(triggers: readonly Trigger[]): void {
    if (triggers.length === 0) return
    const seen = new Map<Trigger, number>()
    this.#world.onTrace = (line) => {
      for (const trigger of triggers.filter(({ at }) => line.startsWith(at))) {
        const count = (seen.get(trigger) ?? 0) + 1
        seen.set(trigger, count)
        if (count !== (trigger.nth ?? 1)) continue
        for (const fault of trigger.faults) {
          this.#world.trace(`FAULT ${JSON.stringify(fault)}`)
          this.#inflict(fault)
        }
      }
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
    if ('plane' in fault || fault.kind === 'leaseLost') this.#world.monitor.causes.troubled(lengthOf(fault))
    if (fault.kind === 'watchStands' || fault.kind === 'watchLag') this.#world.monitor.lagging(lengthOf(fault))
    if (!tellsItself.has(fault.kind)) this.#world.happened(fault.kind)
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

/** Nodes whose engine hid containers from the agent. */
export function deceivedNodes(faults: readonly TimedFault[]): ReadonlySet<string> {
  return new Set(faults.flatMap(({ fault }) => (fault.kind === 'engineLies' ? [`node-${fault.node}`] : [])))
}

/** Whether a node may be silent for long enough that its pods are taken off it. */
export function mayEvict(faults: readonly TimedFault[]): boolean {
  return faults.some(({ fault }) => ('forMs' in fault && fault.forMs >= 25_000) || ('downMs' in fault && fault.downMs >= 25_000))
}
