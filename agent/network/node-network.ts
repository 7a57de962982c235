import type { AbortOptions } from '../../lib/async.ts'
import type { Log } from '../../lib/log.ts'
import { type CommandResult, mustRun, type RunCommand } from '../host/command.ts'
import { RuntimeError } from '../runtime/runtime.ts'
import { type Cidr, formatIp, gatewayOf, parseCidr } from './cidr.ts'

/** The ranges that the control plane gave this node. */
export interface NetworkConfig {
  readonly podCidr: string
  readonly clusterCidr: string
  readonly serviceCidr: string
}

export interface ReadyNetwork extends NetworkConfig {
  readonly bridge: string
  readonly pods: Cidr
  /** The node's address on the bridge, the pods' way out. */
  readonly gateway: string
  readonly mtu: number
}

export interface NodeNetworkOptions {
  readonly bridge: string
  readonly run: RunCommand
  readonly log: Log
}

/** Host ends of the pods' links; the rest of the name is of the container's id. */
export const linkPrefix = 'skv'
const defaultMtu = 1_500

/**
 * The node's side of the pod network: a bridge that is the pods' gateway. Pods have addresses of their own (/32) and
 * reach each other through the gateway, so that all their traffic passes the packet filter, whether or not bridged
 * frames do. Routes to other nodes' pods will be set up here, too.
 */
export class NodeNetwork {
  readonly bridge: string
  readonly #run: RunCommand
  readonly #log: Log
  #config: NetworkConfig | undefined
  #ready: ReadyNetwork | undefined
  #lastTurn: Promise<unknown> = Promise.resolve()

  constructor({ bridge, run, log }: NodeNetworkOptions) {
    if (!/^[a-z][a-z0-9-]{0,14}$/.test(bridge))
      throw new RangeError(`"${bridge}" is not a name for a bridge: at most 15 of a-z, 0-9, -`)
    this.bridge = bridge
    this.#run = run
    this.#log = log
  }

  /** Takes the ranges that the control plane said, or that the checkpoint kept; empty ones say nothing. Throws CidrError. */
  configure(config: NetworkConfig): void {
    if ([config.podCidr, config.clusterCidr, config.serviceCidr].includes('')) return
    for (const cidr of [config.podCidr, config.clusterCidr, config.serviceCidr]) parseCidr(cidr)
    const before = this.#config
    const isSame =
      before?.podCidr === config.podCidr && before.clusterCidr === config.clusterCidr && before.serviceCidr === config.serviceCidr
    if (isSame) return
    this.#config = config
    this.#ready = undefined
  }

  get isConfigured(): boolean {
    return this.#config !== undefined
  }

  /** The network, set up if it is not yet. Throws Unavailable while the node's range is not known. */
  async ready(opts: AbortOptions): Promise<ReadyNetwork> {
    return this.#ready ?? (await this.#inTurn(async () => this.#ready ?? (await this.#setUp(opts))))
  }

  /** Sets up what is missing; what is there stays. */
  setUp(opts: AbortOptions): Promise<ReadyNetwork> {
    return this.#inTurn(() => this.#setUp(opts))
  }

  /** Two at once would both find the bridge missing. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#lastTurn.then(work)
    this.#lastTurn = mine.catch(() => undefined) // Its caller hears of it.
    return mine
  }

  async #setUp(opts: AbortOptions): Promise<ReadyNetwork> {
    opts.signal.throwIfAborted()
    const config = this.#config
    if (config === undefined) throw new RuntimeError('Unavailable', 'the address range of this node’s pods is not known yet')
    const pods = parseCidr(config.podCidr)
    const mtu = await this.#outerMtu(opts)
    const network: ReadyNetwork = { ...config, bridge: this.bridge, pods, gateway: gatewayOf(pods), mtu }
    await this.#setUpBridge(network, opts)
    await this.#setUpKernel(opts)
    await this.#reattach(opts)
    if (this.#config === config) this.#ready = network
    return network
  }

  /** Removes bridge and links. Gone is fine. */
  async remove(opts: AbortOptions): Promise<void> {
    this.#ready = undefined
    for (const link of await this.#links(opts)) {
      if (link.name.startsWith(linkPrefix) && link.master === this.bridge) await this.#ip(['link', 'del', link.name], opts)
    }
    await this.#ip(['link', 'del', this.bridge], opts)
  }

  async #setUpBridge({ bridge, pods, gateway, mtu, serviceCidr }: ReadyNetwork, opts: AbortOptions): Promise<void> {
    const exists = (await this.#ip(['link', 'show', 'dev', bridge], opts)).code === 0
    const lines = [
      ...(exists ? [] : [`link add ${bridge} type bridge`]),
      // A fixed address: by default a bridge takes that of a port, and changes it when the port goes.
      `link set dev ${bridge} address ${macOf(pods.first + 1)} mtu ${mtu} up`,
      `addr replace ${gateway}/${pods.prefix} dev ${bridge}`,
      // Service addresses are rewritten on their way; without a default route there would be no way to begin with.
      `route replace ${serviceCidr} dev ${bridge}`,
    ]
    await mustRun(
      this.#run,
      `set up bridge "${bridge}"`,
      { program: 'ip', args: ['-batch', '-'], input: `${lines.join('\n')}\n` },
      opts,
    )
    await this.#dropOldAddresses({ bridge, gateway, prefix: pods.prefix }, opts)
  }

  /** After a change of the node's range the old gateway address goes; pods with old addresses keep their routes. */
  async #dropOldAddresses(
    { bridge, gateway, prefix }: { bridge: string; gateway: string; prefix: number },
    opts: AbortOptions,
  ): Promise<void> {
    const { stdout } = await this.#ip(['-o', '-4', 'addr', 'show', 'dev', bridge], opts)
    for (const [, address] of stdout.matchAll(/ inet (\S+)/g)) {
      if (address === undefined || address === `${gateway}/${prefix}`) continue
      this.#log.info('removing an address of the bridge that is not the gateway', { address })
      await this.#ip(['addr', 'del', address, 'dev', bridge], opts)
    }
  }

  async #setUpKernel(opts: AbortOptions): Promise<void> {
    await this.#setting('net/ipv4/ip_forward', '1', opts)
    // So that 127.0.0.1:<node port> can lead to a pod; packets from pods to 127.0.0.0/8 are dropped by the filter.
    await this.#setting(`net/ipv4/conf/${this.bridge}/route_localnet`, '1', opts)
  }

  /** By a command, because the settings are those of the network namespace that commands run in. */
  async #setting(name: string, value: string, opts: AbortOptions): Promise<void> {
    const path = `/proc/sys/${name}`
    const what = `read the kernel setting ${name}`
    const now = (await mustRun(this.#run, what, { program: 'cat', args: [path] }, opts)).trim()
    if (now === value) return
    const args = ['-c', `echo ${value} >${path}`]
    await mustRun(this.#run, `change the kernel setting ${name}`, { program: 'sh', args }, opts)
    this.#log.info('kernel setting changed', { setting: name, from: now, to: value })
  }

  /** Links that lost their bridge, because it was deleted and made anew. */
  async #reattach(opts: AbortOptions): Promise<void> {
    const lost = (await this.#links(opts)).filter(({ name, master }) => name.startsWith(linkPrefix) && master === undefined)
    for (const { name } of lost) {
      this.#log.info('attaching a pod to the bridge again', { link: name })
      await this.#ip(['link', 'set', name, 'master', this.bridge, 'up'], opts)
    }
  }

  async #links(opts: AbortOptions): Promise<readonly { readonly name: string; readonly master: string | undefined }[]> {
    const { stdout } = await this.#ip(['-o', 'link', 'show'], opts)
    return [...stdout.matchAll(/^\d+: ([^:@\s]+)[@:].*$/gm)].map((match) => ({
      name: match[1] ?? '',
      master: / master (\S+)/.exec(match[0])?.[1],
    }))
  }

  /** Packets of pods that leave the node must fit its way out. */
  async #outerMtu(opts: AbortOptions): Promise<number> {
    const route = await this.#ip(['-4', 'route', 'show', 'default'], opts)
    const device = / dev (\S+)/.exec(route.stdout)?.[1]
    if (device === undefined) return defaultMtu
    const link = await this.#ip(['-o', 'link', 'show', 'dev', device], opts)
    return Number(/ mtu (\d+)/.exec(link.stdout)?.[1] ?? defaultMtu)
  }

  #ip(args: readonly string[], opts: AbortOptions): Promise<CommandResult> {
    return this.#run({ program: 'ip', args }, opts)
  }
}

/** A link address that follows from the IP address, so that a neighbour's memory of a reused address stays right. */
export function macOf(address: number): string {
  const bytes = formatIp(address).split('.').map(Number)
  return [0x0a, 0x58, ...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}
