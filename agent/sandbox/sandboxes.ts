import type { Pod } from '../../api/kinds/pod.ts'
import { type AbortOptions, aborted } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { uuid } from '../../lib/random.ts'
import type { Service } from '../../lib/service.ts'
import type { EnsureOptions, FoundSandbox, Sandboxes } from '../contracts.ts'
import type { RunCommand } from '../host/command.ts'
import { AddressPool } from '../network/address-pool.ts'
import { type Cidr, contains, parseIp } from '../network/cidr.ts'
import { assertPortsFree, decodePorts, type HostPorts } from '../network/host-ports.ts'
import type { NodeNetwork, ReadyNetwork } from '../network/node-network.ts'
import { type ContainerState, isSpareUid, type Runtime, RuntimeError } from '../runtime/runtime.ts'
import type { Gates } from './gates.ts'
import { ensurePauseImage } from './pause-image.ts'
import {
  annotationKeys,
  canTakeSpare,
  hostnameOf,
  hostPortsOf,
  ownNetwork,
  podUidOf,
  sandboxSpec,
  sparePod,
} from './sandbox-spec.ts'
import { Spares, type SparesOptions } from './spares.ts'
import { Wiring } from './wiring.ts'

export interface SandboxesOptions {
  readonly runtime: Runtime
  readonly network: NodeNetwork
  readonly hostPorts: HostPorts
  /** The node's address: that of pods with the host's network. */
  readonly nodeIp: string
  readonly run: RunCommand
  /** How sandboxes are connected; by `run` unless said otherwise. */
  readonly wiring?: Pick<Wiring, 'make' | 'ensure' | 'remove'>
  /** How their containers get their host names; without it none is prepared ahead, and none that was can be used. */
  readonly gates?: Pick<Gates, 'program' | 'nameEarly' | 'open' | 'isThere'>
  /** Sandboxes prepared ahead; none without it. */
  readonly spares?: Pick<SparesOptions, 'size' | 'most' | 'isBusy' | 'random'>
  readonly clock: Clock
  readonly log: Log
}

export function createSandboxes(options: SandboxesOptions): Sandboxes & Service & { adopt(opts: AbortOptions): Promise<void> } {
  return new DockerSandboxes(options)
}

/** Spares leave so many addresses to pods that cannot take one. */
const addressesKept = 16

class DockerSandboxes implements Sandboxes, Service {
  readonly name = 'sandboxes'
  readonly #options: SandboxesOptions
  readonly #wiring: Pick<Wiring, 'make' | 'ensure' | 'remove'>
  #adoption: { readonly range: string; readonly pool: Promise<AddressPool> } | undefined
  #pool: AddressPool | undefined
  #image: string | undefined
  readonly #spares: Spares | undefined

  constructor(options: SandboxesOptions) {
    this.#options = options
    this.#wiring = options.wiring ?? new Wiring(options.run, options.clock)
    this.#spares = this.#newSpares()
  }

  async ensure(pod: Pod, seen: readonly ContainerState[], opts: EnsureOptions): Promise<FoundSandbox> {
    const network = pod.spec.hostNetwork === true ? undefined : await this.#options.network.ready(opts)
    if (network !== undefined) await this.#adoptFor(network)
    const [newest, ...older] = newestFirst(seen, podUidOf(pod))
    if (newest?.status === 'running') return await this.#connect(pod, newest, network, opts)
    const isUnstarted = newest?.status === 'created' && newest.error === undefined
    // The dead ones go first: their host ports are wanted again.
    for (const dead of older) await this.#discard(dead, opts)
    if (newest !== undefined && !isUnstarted) await this.#discard(newest, opts)
    const spare = newest === undefined && network !== undefined ? await this.#takeSpare(pod, network, opts) : undefined
    if (spare !== undefined) return spare
    const attempt = newest === undefined ? 0 : newest.identity.attempt + (isUnstarted ? 0 : 1)
    const state = await this.#make(pod, { attempt, before: newest?.annotations[annotationKeys.ip] }, network, opts)
    if (network !== undefined && !isUnstarted) await this.#wireNew(state, network, opts)
    return await this.#connect(pod, state, network, opts)
  }

  async remove(podUid: string, seen: readonly ContainerState[], opts: AbortOptions): Promise<void> {
    for (const state of newestFirst(seen, podUid)) await this.#discard(state, opts)
  }

  noticed(all: readonly ContainerState[]): void {
    this.#spares?.noticed(all)
  }

  gate(opts: AbortOptions): Promise<string> {
    return this.#gates().program(opts)
  }

  async nameEarly(containerId: string, hostname: string, opts: AbortOptions): Promise<boolean> {
    return await this.#gates().nameEarly(containerId, hostname, opts)
  }

  async open(
    { id, pid, status }: ContainerState,
    hostname: string,
    opts: AbortOptions & { readonly isNamed: boolean },
  ): Promise<boolean> {
    if (status !== 'running' || pid === undefined) return true
    return await this.#gates().open({ containerId: id, pid }, hostname, opts)
  }

  #gates(): Pick<Gates, 'program' | 'nameEarly' | 'open' | 'isThere'> {
    const { gates } = this.#options
    if (gates === undefined) throw new RuntimeError('Unavailable', 'this node has no program for gates')
    return gates
  }

  /** Keeps sandboxes ready that no pod has asked for yet. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#spares === undefined) await aborted(signal)
    else await this.#spares.run(signal)
  }

  /** Takes note of the addresses and ports of the sandboxes that are there. */
  async adopt(opts: AbortOptions): Promise<void> {
    await this.#adoptFor(await this.#options.network.ready(opts))
  }

  /** The addresses of the node's range. Built once for all who ask at the same time, or two pods would get the same one. */
  async #adoptFor({ pods }: ReadyNetwork): Promise<AddressPool> {
    const range = `${pods.first}-${pods.last}`
    const known = this.#adoption
    if (known?.range === range) return await known.pool
    const adoption = { range, pool: this.#buildPool(pods) }
    this.#adoption = adoption
    try {
      return await adoption.pool
    } catch (err) {
      if (this.#adoption === adoption) this.#adoption = undefined
      throw err
    }
  }

  async #buildPool(cidr: Cidr): Promise<AddressPool> {
    // Not the caller's signal: the others who wait for this have not given up. The call has its own deadline.
    const states = await this.#options.runtime.list({ signal: new AbortController().signal })
    const pool = new AddressPool({ cidr, clock: this.#options.clock })
    for (const state of states) if (state.identity.role === 'sandbox') this.#claim(pool, state)
    this.#pool = pool
    return pool
  }

  #claim(pool: AddressPool, state: ContainerState): void {
    const ip = state.annotations[annotationKeys.ip]
    if (ip === undefined) return
    const { log, hostPorts } = this.#options
    if (!pool.claim(ip, ownerOf(state))) log.error('two sandboxes have the same address', { ip, container: state.id })
    const ports = decodePorts(state.annotations[annotationKeys.hostPorts] ?? '')
    if (ports.length === 0 || state.status !== 'running') return
    try {
      hostPorts.reserve(ownerOf(state), { ip, ports })
    } catch (err) {
      log.error('two sandboxes have the same host port', { err, container: state.id })
    }
  }

  /**
   * Creates and starts a sandbox; all but the start is idempotent by its name. A pod that had an address keeps it where
   * it can: after a reboot of the host its services lead to it although no control plane could tell them another one.
   */
  async #make(
    pod: Pod,
    { attempt, before }: { readonly attempt: number; readonly before: string | undefined },
    network: ReadyNetwork | undefined,
    opts: AbortOptions,
  ): Promise<ContainerState> {
    const { runtime } = this.#options
    const ownPorts = hostPortsOf(pod)
    const owner = `${podUidOf(pod)}/${attempt}`
    const pool = network === undefined ? undefined : await this.#adoptFor(network)
    if (ownPorts.length > 0) await assertPortsFree(ownPorts)
    const ip = before !== undefined && pool?.reclaim(before, owner) === true ? before : pool?.allocate(owner)
    let id: string | undefined
    try {
      if (ip !== undefined) this.#options.hostPorts.reserve(owner, { ip, ports: ownPorts })
      id = await this.#create(pod, attempt, ip, opts)
      await runtime.start(id, opts)
      const state = await runtime.state(id, opts)
      if (state?.status === 'running') return state
      throw new RuntimeError('NotFound', `the sandbox of the pod ended at once: ${state?.error ?? 'no reason given'}`)
    } catch (err) {
      // Without a container the address is nobody's. With one its label keeps it, and the next look finds it.
      if (id === undefined && err instanceof RuntimeError && isFinal(err)) this.#release(owner)
      throw err
    }
  }

  async #create(pod: Pod, attempt: number, ip: string | undefined, opts: AbortOptions): Promise<string> {
    const { runtime } = this.#options
    for (const isLast of [false, true]) {
      this.#image ??= await ensurePauseImage(runtime, opts)
      try {
        return await runtime.create(sandboxSpec({ pod, attempt, image: this.#image, ip }), opts)
      } catch (err) {
        // Somebody pruned the node's images.
        if (isLast || !(err instanceof RuntimeError) || err.code !== 'ImageNotFound') throw err
        this.#image = undefined
      }
    }
    throw new RuntimeError('ImageNotFound', 'the sandbox image cannot be kept on this node')
  }

  /** Takes a sandbox that was prepared ahead. Undefined when there is none, or none will do. */
  async #takeSpare(pod: Pod, network: ReadyNetwork, opts: EnsureOptions): Promise<FoundSandbox | undefined> {
    const spares = canTakeSpare(pod) ? this.#spares : undefined
    if (spares === undefined) return undefined
    spares.asked()
    for (let spare = spares.take(); spare !== undefined; spare = spares.take()) {
      const { [annotationKeys.ip]: ip } = spare.annotations
      if (ip !== undefined) opts.expected?.({ containerId: spare.id, ip, hostname: hostnameOf(pod) })
      const state = await this.#adopt(pod, spare, spares, opts)
      if (state === undefined) continue
      try {
        return await this.#connect(pod, state, network, opts)
      } catch (err) {
        if (!isNotFound(err)) throw err
        this.#options.log.info('a sandbox that was prepared ahead had ended', { container: spare.id })
        await this.#discard(state, opts)
      }
    }
    return undefined
  }

  /** Undefined when the spare is not there any more. */
  async #adopt(pod: Pod, spare: ContainerState, spares: Spares, opts: AbortOptions): Promise<ContainerState | undefined> {
    const { identity } = sandboxSpec({ pod, attempt: 0, image: spare.image, ip: undefined })
    let isOurs: boolean
    try {
      isOurs = await this.#options.runtime.adopt(spare.identity, identity, opts)
    } catch (err) {
      spares.lost(spare)
      if (isNotFound(err)) return undefined
      throw err
    }
    if (!isOurs) {
      spares.giveBack(spare)
      throw new RuntimeError('Conflict', 'the pod has a sandbox already; looking again')
    }
    spares.taken(spare)
    return { ...spare, identity }
  }

  #newSpares(): Spares | undefined {
    const { runtime, network, spares, clock, log } = this.#options
    if (spares === undefined) return undefined
    return new Spares({
      ...{ ...spares, clock, log },
      list: (opts) => runtime.list(opts),
      make: async (opts) => {
        const ready = await network.ready(opts)
        if ((await this.#adoptFor(ready)).left < addressesKept) return undefined
        const pod = sparePod(uuid(spares.random))
        const state = await this.#make(pod, { attempt: 0, before: undefined }, ready, opts)
        await this.#wireNew(state, ready, opts)
        await this.#connect(pod, state, ready, opts)
        return state
      },
      keep: async (state, opts) => {
        const ready = await network.ready(opts)
        const address = parseIp(state.annotations[annotationKeys.ip] ?? '')
        if (address === undefined || !contains(ready.pods, address)) return false
        await this.#connect(sparePod(''), state, ready, opts)
        return true
      },
      // Under a name by which nobody takes it.
      discard: async (state, opts) => {
        if (state.identity.attempt === 0) await runtime.adopt(state.identity, { ...state.identity, attempt: 1 }, opts)
        await this.#discard(state, opts)
      },
      settle: (spare, now) => {
        if (now === undefined) this.#release(ownerOf(spare))
        else this.#pool?.transfer(ownerOf(spare), ownerOf(now))
      },
    })
  }

  /** The short way for one that has just been started; what goes wrong here is put right by the long way. */
  async #wireNew(state: ContainerState, network: ReadyNetwork, opts: AbortOptions): Promise<void> {
    const ip = state.annotations[annotationKeys.ip]
    if (ip === undefined || state.pid === undefined) return
    try {
      await this.#wiring.make({ containerId: state.id, pid: state.pid, ip, isBare: isBare(state) }, network, opts)
    } catch (err) {
      opts.signal.throwIfAborted()
      this.#options.log.warn('a new sandbox was not connected at once', { err, container: state.id })
    }
  }

  /** Wires a running sandbox by what its label says, which holds whoever made it. */
  async #connect(pod: Pod, state: ContainerState, network: ReadyNetwork | undefined, opts: AbortOptions): Promise<FoundSandbox> {
    if (network === undefined) return { containerId: state.id, ip: this.#options.nodeIp, state }
    const ip = state.annotations[annotationKeys.ip]
    if (ip === undefined || state.pid === undefined)
      throw new RuntimeError('NotFound', `the sandbox of pod "${pod.metadata.name}" has no address`)
    const pool = await this.#adoptFor(network)
    const { [annotationKeys.spare]: spareUid } = state.annotations
    const isTaken = spareUid !== undefined && !isSpareUid(state.identity.podUid)
    if (isTaken) pool.transfer(`${spareUid}/0`, ownerOf(state))
    if (!pool.claim(ip, ownerOf(state))) {
      await this.#discard(state, opts)
      throw new RuntimeError('Conflict', `address ${ip} of the sandbox belongs to another pod; making a new one`)
    }
    this.#options.hostPorts.reserve(ownerOf(state), { ip, ports: hostPortsOf(pod) })
    await this.#wiring.ensure({ containerId: state.id, pid: state.pid, ip, isBare: isBare(state) }, network, opts)
    if (!isTaken) return { containerId: state.id, ip, state }
    // The sandbox itself goes on under the name that it was prepared with: nobody but its waiting program is called so.
    if (!(await this.#gates().isThere({ containerId: state.id, pid: state.pid })))
      throw new RuntimeError('NotFound', `the sandbox of pod "${pod.metadata.name}" has ended`)
    return { containerId: state.id, ip, hostname: hostnameOf(pod), state }
  }

  async #discard(state: ContainerState, opts: AbortOptions): Promise<void> {
    const isWired = state.annotations[annotationKeys.ip] !== undefined
    await Promise.all([isWired ? this.#wiring.remove(state.id, opts) : undefined, this.#options.runtime.remove(state.id, opts)])
    this.#release(ownerOf(state))
  }

  #release(owner: string): void {
    this.#pool?.release(owner)
    this.#options.hostPorts.release(owner)
  }
}

function newestFirst(seen: readonly ContainerState[], podUid: string): readonly ContainerState[] {
  return seen
    .filter(({ identity }) => identity.role === 'sandbox' && identity.podUid === podUid)
    .sort((a, b) => b.identity.attempt - a.identity.attempt)
}

const isNotFound = (err: unknown): boolean => err instanceof RuntimeError && err.code === 'NotFound'

const isBare = ({ annotations }: ContainerState): boolean => annotations[annotationKeys.network] === ownNetwork

/** Addresses and ports belong to one sandbox, not to its pod: a new sandbox has others while the old one goes. */
const ownerOf = ({ identity }: ContainerState): string => `${identity.podUid}/${identity.attempt}`

/** Nothing can have been created. After a time-out or a broken connection it may have been. */
const isFinal = (err: RuntimeError): boolean => err.code !== 'Timeout' && err.code !== 'Unavailable'
