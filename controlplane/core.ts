import { Namespace } from '../api/kinds/namespace.ts'
import { kinds } from '../api/kinds/registry.ts'
import { controlPlaneIdentity, nodeIdentity } from '../api/meta/request.ts'
import { unavailable } from '../api/meta/status.ts'
import type { PodStreams } from '../api/meta/streams.ts'
import type { Client } from '../client/client.ts'
import { controllerServices } from '../client/controller.ts'
import { createEventRecorder } from '../client/events.ts'
import { createInformers, type Informers } from '../client/informers.ts'
import { createClient } from '../client/typed-client.ts'
import { type AbortOptions, Bell } from '../lib/async.ts'
import { Backoff } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Metrics } from '../lib/metrics.ts'
import type { Random } from '../lib/random.ts'
import { type Service, superviseGroups } from '../lib/service.ts'
import { Slots, type Turns } from '../lib/slots.ts'
import { type BootstrapOptions, bootstrap } from './controllers/bootstrap.ts'
import { controllers } from './controllers/registry.ts'
import { createGateway, type Gateway } from './gateway/gateway.ts'
import type { Listen } from './gateway/line.ts'
import { orUndefined } from './gateway/node-registration.ts'
import { inProcess } from './registry/in-process.ts'
import type { Registry } from './registry/options.ts'
import { createRegistry } from './registry/registry.ts'
import { createScheduler } from './scheduler/scheduler.ts'
import { createWatchCache, type WatchCacheOptions } from './store/cache.ts'
import { Incarnation, type StorePosition } from './store/incarnation.ts'
import type { RevisionMemory } from './store/revision-memory.ts'
import { electionPrefix, type Leadership, type Store } from './store/store.ts'
import type { WatchCache } from './store/watch-cache.ts'

export interface CoreDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  /** Keeps turns of the event loop short; absent where time does not pass while work is done. */
  readonly turns?: Turns
}

export interface CoreOptions {
  readonly store: Store
  /** What the election key holds while this control plane leads. */
  readonly identity: string
  readonly serviceCidr: string
  readonly clusterCidr: string
  readonly nodePorts: string
  /** Silence after which a node counts as unreachable. */
  readonly nodeGraceMs: number
  readonly apiServer: Required<BootstrapOptions>['apiServer']
  /** Where agents arrive. */
  readonly listen: Listen
  /** How stored values are read, where that is not by itself. */
  readonly decode?: WatchCacheOptions['decode']
  /** Of the store and its log, by which a restore is noticed. Absent: the store cannot be restored. */
  readonly position?: (opts: AbortOptions) => Promise<StorePosition>
  /** How far the store had come, kept outside of it. */
  readonly memory?: Pick<RevisionMemory, 'highest' | 'restart'>
  /** See the watch cache. */
  readonly gather?: () => Promise<void>
}

/** A control plane without its doors: everything between the store on one side, HTTPS and the agents on the other. */
export interface Core {
  readonly cache: WatchCache & Service
  readonly registry: Registry
  readonly informers: readonly Service[]
  /** Only the leader's reach a node. */
  readonly streams: PodStreams
  readonly leads: () => boolean
  /** Nodes that have a session here, and the certificates that they have shown. */
  readonly nodes: Pick<Gateway, 'nodeCertificates' | 'renewNodeCertificates'>
  /** Runs for the leadership, and what only a leader runs. */
  readonly leader: Service
}

/** Whose revision of creation is the fence. */
export const leaderKey = `${electionPrefix}controlplane`
/** Its UID is the cluster's, as tools of Kubernetes take it. */
const uidNamespace = 'kube-system'
/** A leader that died is replaced within this and a second. */
const leaderTtlMs = 4_000
const drainMs = 10_000
/** Writes of controllers, scheduler and gateway together that are under way: so many answers of etcd a turn may bring at most. */
const writesAtOnce = 10
const backoffs = { baseMs: 200, maxMs: 10_000, resetAfterMs: 60_000 }

export function composeCore(options: CoreOptions, deps: CoreDeps): Core {
  const { store, serviceCidr, decode, gather } = options
  const { clock, log, random, metrics, turns } = deps
  const setBack = (): void => leader.stepDown('the store was set back')
  const own = { ...(decode === undefined ? {} : { decode }), ...(gather === undefined ? {} : { gather }) }
  const cache = createWatchCache({ store, kinds, clock, log, metrics, setBack, ...own })
  const registry = createRegistry({ store, cache, clock, random, log, kinds, serviceCidr, nodePortRange: options.nodePorts })
  const leader = new Leader(options, deps, (opts) => cache.waitForCurrent(opts))
  const fence = () => leader.fence
  const writes = new Slots(writesAtOnce, turns)
  const waiting = metrics.gauge('writes_waiting', 'Writes of controllers, scheduler and gateway that wait for a place')
  metrics.onRender(() => waiting.set(writes.waiting))
  const client = createClient(inProcess(registry, controlPlaneIdentity, { fence, writes }))
  const informers = createInformers({ client, clock, random, log })
  const recorder = (component: string) => createEventRecorder({ client, clock, log, component })
  const events = recorder('skiff-controllers')
  const schedulerEvents = recorder('default-scheduler')
  const agentEvents = recorder('skiff-agent')
  const startRevision = () => leader.fence?.createRevision ?? 0
  const common = { client, informers, clock, random, log, metrics, startRevision, ...(turns === undefined ? {} : { turns }) }
  const defs = controllers({ informers, clock, events }, { graceMs: options.nodeGraceMs })
  const cluster = { uid: '' }
  const gateway = createGateway(options.listen, {
    informers,
    clientFor: (node) => createClient(inProcess(registry, nodeIdentity(node), { fence, writes })),
    client,
    events: agentEvents,
    clock,
    random,
    log,
    metrics,
    epoch: () => leader.incarnation?.epoch ?? 0,
    startRevision,
    incarnation: () => leader.incarnation?.id ?? '',
    liftEpoch: (above, opts) => leader.liftEpoch(above, opts),
    get clusterUid() {
      return cluster.uid
    },
    clusterCidr: options.clusterCidr,
    serviceCidr,
  })
  const leading: readonly (readonly Service[])[] = [
    [once('bootstrap', (signal) => bootstrap({ client, apiServer: options.apiServer, signal }))],
    [events, schedulerEvents, agentEvents],
    [
      ...controllerServices(defs, common),
      createScheduler({ ...common, events: schedulerEvents }),
      whenKnown(gateway, cluster, { client, informers }),
    ],
  ]
  return {
    cache,
    registry,
    informers: informers.services,
    streams: leader.streams(gateway),
    leads: () => leader.leads,
    nodes: gateway,
    leader: leader.service(leading),
  }
}

/**
 * No agent may be welcomed before the cluster has its UID: that of the namespace kube-system, which bootstrap makes. It is
 * read where the leader reads what it acts upon: after the store was set back informers may still have the other one's.
 */
function whenKnown(
  gateway: Service,
  cluster: { uid: string },
  { client, informers }: { readonly client: Client; readonly informers: Informers },
): Service {
  const namespaces = informers.for(Namespace)
  return {
    name: gateway.name,
    async run(signal) {
      const bell = new Bell()
      {
        using _ = namespaces.onChange(() => bell.ring())
        for (;;) {
          const found = await orUndefined(client.get(Namespace, { name: uidNamespace }, { signal }))
          cluster.uid = found?.metadata.uid ?? ''
          if (cluster.uid !== '') break
          await bell.wait({ signal })
        }
      }
      await gateway.run(signal)
    },
  }
}

/** A service that has done its work when `work` resolves. */
function once(name: string, work: (signal: AbortSignal) => Promise<void>): Service {
  return {
    name,
    async run(signal) {
      await work(signal)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    },
  }
}

/** Runs for the leadership, and what only a leader runs. */
class Leader {
  readonly #options: CoreOptions
  readonly #deps: CoreDeps
  /** Of the last election that was won. After it is lost writes with it fail, which is what it is for (law 4). */
  fence: Leadership['fence'] | undefined
  incarnation: Incarnation | undefined
  readonly #caughtUp: (opts: AbortOptions) => Promise<void>
  #isLeading = false
  #term = new AbortController()

  constructor(options: CoreOptions, deps: CoreDeps, caughtUp: (opts: AbortOptions) => Promise<void>) {
    this.#options = options
    this.#deps = deps
    this.#caughtUp = caughtUp
  }

  /** Runs for the leadership anew: what leads is to begin from what the store says now. */
  stepDown(why: string): void {
    this.#term.abort(new Error(why))
  }

  get leads(): boolean {
    return this.#isLeading
  }

  service(groups: readonly (readonly Service[])[]): Service {
    const { store, identity } = this.#options
    const { clock, random, log } = this.#deps
    return {
      name: 'leader',
      run: async (signal) => {
        // Before the election: what is noted after it may be of changes after it.
        const remembered = this.#options.memory?.highest
        const leadership = await store.campaign({ key: leaderKey, value: identity, ttlMs: leaderTtlMs, signal })
        this.#term = new AbortController()
        const both = AbortSignal.any([signal, leadership.lost, this.#term.signal])
        try {
          await this.#caughtUp({ signal: both })
          this.incarnation = await this.#openIncarnation({ fence: leadership.fence, remembered, signal: both })
          this.fence = leadership.fence
          this.#isLeading = true
          log.info('leading', { epoch: this.incarnation.epoch, incarnation: this.incarnation.id })
          await superviseGroups(groups, {
            clock,
            log,
            backoff: new Backoff({ ...backoffs, clock, random }),
            signal: both,
            drainMs,
          })
        } finally {
          this.#isLeading = false
          log.info('no longer leading')
          await leadership.resign()
        }
      },
    }
  }

  async #openIncarnation({
    fence,
    remembered,
    signal,
  }: AbortOptions & { fence: Leadership['fence']; remembered: number | undefined }): Promise<Incarnation> {
    const { store, position, memory } = this.#options
    const { clock, random, log } = this.#deps
    const options = { store, fence, position, remembered, clock, random, log }
    const incarnation = await Incarnation.open(options, { signal })
    memory?.restart(fence.createRevision)
    return incarnation
  }

  async liftEpoch(above: bigint, opts: AbortOptions): Promise<void> {
    if (this.incarnation === undefined) throw unavailable('this control plane does not lead')
    await this.incarnation.lift(above, opts)
  }

  /** Agents hold their sessions with the leader: only it reaches containers. */
  streams(gateway: PodStreams): PodStreams {
    const check = (): void => {
      if (!this.#isLeading) throw unavailable('this control plane does not lead; ask again in a moment')
    }
    return {
      async *log(ref, options, opts) {
        check()
        yield* gateway.log(ref, options, opts)
      },
      async *exec(ref, options, input, opts) {
        check()
        yield* gateway.exec(ref, options, input, opts)
      },
    }
  }
}
