import type { ServiceTable } from '../../api/proto/agent.ts'
import { type AbortOptions, Bell, isAbort, sleep } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Metrics } from '../../lib/metrics.ts'
import type { Service } from '../../lib/service.ts'
import { mustRun, type RunCommand } from '../host/command.ts'
import { parseCidr } from './cidr.ts'
import type { HostPorts } from './host-ports.ts'
import type { NodeNetwork, ReadyNetwork } from './node-network.ts'
import { isIntact, type Observed, parseSave, renderAll, renderChanges, renderRemoval, tableNames } from './restore.ts'
import { buildTables, serviceChains, type Tables } from './tables.ts'
import { hasUdp, staleFlows } from './udp-flows.ts'

export interface ServiceProxyOptions {
  readonly network: NodeNetwork
  readonly hostPorts: HostPorts
  readonly nodeName: string
  readonly run: RunCommand
  readonly clock: Clock
  readonly log: Log
  readonly metrics?: Metrics
  /** Fills `hostPorts` from what runs: waited for before the first write, which would else drop their rules. */
  readonly adopt?: (opts: AbortOptions) => Promise<void>
  /** The same program that the engine uses: rules of the legacy and of the nft one do not see each other. */
  readonly iptables?: string
}

export interface ServiceProxy extends Service {
  /** Takes the newest table; the rules follow within a second. */
  update(table: ServiceTable): void
  /** Makes the rules follow now. Throws when they cannot. */
  sync(opts: AbortOptions): Promise<void>
  /** Removes all rules of Skiff, and no others. */
  remove(opts: AbortOptions): Promise<void>
}

/** Changes that come within the gap are written together. It grows with what writing costs: a sixth of the time at most. */
const gapMs = { shortest: 50, longest: 1_000, perMs: 5 }
const resyncMs = 30_000
const retryMs = 2_000
/** A thousand services take two seconds where nft stands behind iptables. */
const restoreMs = 120_000

export function createServiceProxy(options: ServiceProxyOptions): ServiceProxy {
  return new PacketFilterProxy(options)
}

class PacketFilterProxy implements ServiceProxy {
  readonly name = 'service-proxy'
  readonly #options: ServiceProxyOptions
  readonly #iptables: string
  readonly #syncs: ReturnType<Metrics['counter']> | undefined
  readonly #seconds: ReturnType<Metrics['histogram']> | undefined
  readonly #services: ReturnType<Metrics['gauge']> | undefined
  readonly #bell = new Bell()
  #table: ServiceTable | undefined
  /** What was written last; undefined when the filter may hold anything. */
  #applied: Tables | undefined
  #flowsOf: ServiceTable | undefined
  #hasWarned = false
  #hasAdopted = false

  constructor(options: ServiceProxyOptions) {
    this.#options = options
    this.#iptables = options.iptables ?? 'iptables'
    const { metrics } = options
    this.#syncs = metrics?.counter('service_syncs_total', 'Times that rules of services were written.', {
      outcome: ['ok', 'failed'],
    })
    this.#seconds = metrics?.histogram('service_sync_seconds', 'Time that writing the rules of services took.')
    this.#services = metrics?.gauge('services', 'Services that this node forwards.')
  }

  update(table: ServiceTable): void {
    this.#table = table
    this.#bell.ring()
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, network, hostPorts } = this.#options
    using _ = hostPorts.subscribe(() => this.#bell.ring())
    let resyncAtMs = clock.monotonicMs()
    while (!signal.aborted) {
      let waitMs = retryMs
      const startedMs = clock.monotonicMs()
      try {
        if (network.isConfigured) {
          const isResync = clock.monotonicMs() >= resyncAtMs
          await this.#sync(isResync, { signal })
          if (isResync) resyncAtMs = clock.monotonicMs() + resyncMs
          waitMs = Math.max(0, resyncAtMs - clock.monotonicMs())
        }
      } catch (err) {
        if (isAbort(err, signal)) return
        log.error('cannot write the rules of services', { err })
      }
      try {
        await sleep(clock, Math.min(gapAfter(clock.monotonicMs() - startedMs), waitMs), signal)
        await this.#bell.wait({ signal, clock, timeoutMs: waitMs })
      } catch {
        return // Aborted.
      }
    }
  }

  async sync(opts: AbortOptions): Promise<void> {
    await this.#sync(true, opts)
  }

  async remove(opts: AbortOptions): Promise<void> {
    this.#applied = undefined
    await this.#restore(renderRemoval(await this.#observe(opts)), opts)
  }

  async #sync(isResync: boolean, opts: AbortOptions): Promise<void> {
    const { clock } = this.#options
    const startedMs = clock.monotonicMs()
    let outcome = 'failed'
    try {
      await this.#write(isResync, opts)
      outcome = 'ok'
    } finally {
      this.#syncs?.inc({ outcome })
      this.#seconds?.observe((clock.monotonicMs() - startedMs) / 1000)
      this.#services?.set(this.#table?.services.length ?? 0)
    }
  }

  async #write(isResync: boolean, opts: AbortOptions): Promise<void> {
    const { network } = this.#options
    // A resync also brings back a bridge that somebody deleted.
    const ready = isResync ? await network.setUp(opts) : await network.ready(opts)
    if (!this.#hasAdopted) await this.#options.adopt?.(opts)
    this.#hasAdopted = true
    const tables = this.#tables(ready)
    if (this.#applied !== undefined && !isResync && this.#table !== undefined) {
      await this.#apply(renderChanges(this.#applied, tables), tables, opts)
    } else {
      await this.#applyObserved(tables, opts)
    }
    await this.#dropStaleFlows(ready, opts)
  }

  #tables(ready: ReadyNetwork): Tables {
    const { nodeName, hostPorts } = this.#options
    const { bridge, podCidr, clusterCidr } = ready
    const table = this.#table ?? { revision: 0n, services: [] }
    return buildTables(table, { nodeName, bridge, podCidr, clusterCidr, hostPorts: hostPorts.all() })
  }

  async #applyObserved(tables: Tables, opts: AbortOptions): Promise<void> {
    const observed = await this.#observe(opts)
    if (this.#table === undefined) {
      // After a restart the services are not known yet: their rules stay as they are.
      await this.#restore(renderAll(withoutServices(observed), missingIn(observed, tables)), opts)
      return
    }
    if (this.#applied !== undefined && isIntact(observed, this.#applied)) {
      await this.#apply(renderChanges(this.#applied, tables), tables, opts)
      return
    }
    if (this.#applied !== undefined) this.#options.log.warn('rules of services were changed by others, writing them anew')
    await this.#apply(renderAll(observed, tables), tables, opts)
  }

  async #apply(text: string, tables: Tables, opts: AbortOptions): Promise<void> {
    // Whatever goes wrong on the way, the next attempt looks first.
    this.#applied = undefined
    await this.#restore(text, opts)
    this.#applied = tables
  }

  async #restore(text: string, opts: AbortOptions): Promise<void> {
    if (text === '') return
    const command = { program: `${this.#iptables}-restore`, args: ['-w', '5', '--noflush'], input: text, deadlineMs: restoreMs }
    await mustRun(this.#options.run, 'write packet filter rules', command, opts)
  }

  async #observe(opts: AbortOptions): Promise<Observed> {
    const texts: string[] = []
    for (const name of tableNames) {
      const command = { program: `${this.#iptables}-save`, args: ['-t', name] }
      texts.push(await mustRun(this.#options.run, 'read packet filter rules', command, opts))
    }
    return parseSave(texts.join('\n'))
  }

  async #dropStaleFlows(ready: ReadyNetwork, opts: AbortOptions): Promise<void> {
    const table = this.#table
    if (table === undefined || table === this.#flowsOf) return
    if (hasUdp(table)) {
      try {
        const command = { program: 'conntrack', args: ['-L', '-p', 'udp'] }
        const listing = await mustRun(this.#options.run, 'list UDP flows', command, opts)
        for (const args of staleFlows(listing, table, parseCidr(ready.clusterCidr))) {
          await this.#options.run({ program: 'conntrack', args }, opts) // Ended by itself meanwhile is fine.
        }
      } catch (err) {
        opts.signal.throwIfAborted()
        if (!this.#hasWarned)
          this.#options.log.warn('cannot end UDP flows to pods that are gone; is conntrack installed?', { err })
        this.#hasWarned = true
      }
    }
    this.#flowsOf = table
  }
}

const gapAfter = (tookMs: number): number => Math.min(gapMs.longest, Math.max(gapMs.shortest, gapMs.perMs * tookMs))

/** Hides the chains of services, so that none of them looks stale. */
function withoutServices(observed: Observed): Observed {
  return { nat: new Map(), filter: new Map(), jumps: observed.jumps }
}

/** The tables without those chains of services that are there already. */
function missingIn(observed: Observed, tables: Tables): Tables {
  const keep = (name: keyof Tables) =>
    new Map([...tables[name]].filter(([chain]) => !(serviceChains.includes(chain) && observed[name].has(chain))))
  return { nat: keep('nat'), filter: keep('filter') }
}
