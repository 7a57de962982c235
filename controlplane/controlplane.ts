import { readFile } from 'node:fs/promises'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { Namespace } from '../api/kinds/namespace.ts'
import { kinds } from '../api/kinds/registry.ts'
import { controlPlaneIdentity, nodeIdentity } from '../api/meta/request.ts'
import { unavailable } from '../api/meta/status.ts'
import type { PodStreams } from '../api/meta/streams.ts'
import { controllerServices } from '../client/controller.ts'
import { createEventRecorder } from '../client/events.ts'
import { createInformers, type Informers } from '../client/informers.ts'
import { createClient } from '../client/typed-client.ts'
import { Bell } from '../lib/async.ts'
import { Backoff } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Metrics } from '../lib/metrics.ts'
import { writeWhole } from '../lib/private-files.ts'
import type { Random } from '../lib/random.ts'
import { type Service, type SuperviseOptions, superviseGroups } from '../lib/service.ts'
import { createApiServer } from './apiserver/server.ts'
import { bootstrap } from './controllers/bootstrap.ts'
import { controllers } from './controllers/registry.ts'
import { etcdProcess } from './etcd-process/etcd-process.ts'
import { createGateway } from './gateway/gateway.ts'
import type { Options } from './options.ts'
import { kubeconfig } from './pki/kubeconfig.ts'
import { loadOrCreatePki, type Pki } from './pki/pki.ts'
import { inProcess } from './registry/in-process.ts'
import { createRegistry } from './registry/registry.ts'
import { createScheduler } from './scheduler/scheduler.ts'
import { createWatchCache } from './store/cache.ts'
import { createCompactor } from './store/compactor.ts'
import { encrypted } from './store/encryption.ts'
import { type EtcdStore, etcdStore } from './store/etcd.ts'
import type { EtcdTls } from './store/etcd-client.ts'
import { createEtcdUpkeep } from './store/etcd-upkeep.ts'
import { loadOrCreateKeyring } from './store/keyring.ts'
import { electionPrefix, type Leadership } from './store/store.ts'

export interface ControlPlaneDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

const drainMs = 10_000
const etcdQuotaBytes = 4 * 1024 ** 3
/** Its UID is the cluster's, as tools of Kubernetes take it. */
const uidNamespace = 'kube-system'
/** A leader that died is replaced within this and a second. */
const leaderTtlMs = 4_000
const backoffs = { baseMs: 200, maxMs: 10_000, resetAfterMs: 60_000 }

/** Puts a whole control plane together and runs it until aborted. The only place that sees all rooms. */
export async function runControlPlane(options: Options, deps: ControlPlaneDeps, signal: AbortSignal): Promise<void> {
  const { clock, log, random } = deps
  const pki = await loadOrCreatePki(options.dataDir, {
    clock,
    log,
    hosts: ownHosts(options),
    serviceIp: firstAddress(options.serviceCidr),
  })
  await writeAdminKubeconfig(options, pki)
  const etcd = await createEtcd(options, pki, deps)
  const keyring = await loadOrCreateKeyring(join(options.dataDir, 'pki', 'encryption.json'), { random, log })
  const services = compose(options, { pki, etcd, store: encrypted(etcd.store, { keyring, log }) }, deps)
  const supervised: SuperviseOptions = { clock, log, backoff: new Backoff({ ...backoffs, clock, random }), signal }
  try {
    await superviseGroups(services, { ...supervised, drainMs })
  } finally {
    etcd.store.close()
  }
}

interface Etcd {
  readonly store: EtcdStore
  /** The child process, where we run it ourselves. */
  readonly process: readonly Service[]
}

async function createEtcd(options: Options, pki: Pki, { clock, log, random }: ControlPlaneDeps): Promise<Etcd> {
  if (options.etcdEndpoints.length > 0) {
    const tls = await externalTls(options)
    const base = { endpoints: options.etcdEndpoints, clock, random, log }
    return { store: etcdStore(tls === undefined ? base : { ...base, tls }), process: [] }
  }
  const { etcdServer, etcdClient, etcdAuthority, etcdAuthorityFile } = pki
  const child = etcdProcess({
    binary: options.etcdBinary,
    dataFolder: options.dataDir,
    clientPort: options.etcdPort,
    peerPort: options.etcdPort + 1,
    quotaBytes: etcdQuotaBytes,
    files: { authorityFile: etcdAuthorityFile, certFile: etcdServer.certFile, keyFile: etcdServer.keyFile },
    client: { ca: etcdAuthority.cert, cert: etcdClient.cert, key: etcdClient.key },
    clock,
    log,
  })
  const tls = { ca: etcdAuthority.cert, cert: etcdClient.cert, key: etcdClient.key }
  return { store: etcdStore({ endpoints: child.endpoints, tls, clock, random, log }), process: [child] }
}

async function externalTls({ etcdCa, etcdCert, etcdKey }: Options): Promise<EtcdTls | undefined> {
  if (etcdCa === '') return undefined
  const ca = await readFile(etcdCa, 'utf8')
  if (etcdCert === '') return { ca }
  return { ca, cert: await readFile(etcdCert, 'utf8'), key: await readFile(etcdKey, 'utf8') }
}

interface Parts {
  readonly pki: Pki
  readonly etcd: Etcd
  readonly store: Parameters<typeof createRegistry>[0]['store']
}

/** Groups in the order in which they start; they stop in the reverse one. */
function compose(options: Options, { pki, etcd, store }: Parts, deps: ControlPlaneDeps): readonly (readonly Service[])[] {
  const { clock, log, random, metrics } = deps
  const cache = createWatchCache({ store, kinds, clock, log, metrics })
  const { serviceCidr, nodePorts } = options
  const registry = createRegistry({ store, cache, clock, random, log, kinds, serviceCidr, nodePortRange: nodePorts })
  const leader = new Leader()
  const fence = () => leader.fence
  const client = createClient(inProcess(registry, controlPlaneIdentity, fence))
  const informers = createInformers({ client, clock, random, log })
  const recorder = (component: string) => createEventRecorder({ client, clock, log, component })
  const events = recorder('skiff-controllers')
  const schedulerEvents = recorder('default-scheduler')
  const agentEvents = recorder('skiff-agent')
  const startRevision = () => leader.fence?.createRevision ?? 0
  const common = { client, informers, clock, random, log, metrics, startRevision }
  const defs = controllers({ informers, clock, events }, { graceMs: options.nodeMonitorGracePeriod })
  const gateway = createGateway({
    informers,
    clientFor: (node) => createClient(inProcess(registry, nodeIdentity(node), fence)),
    client,
    events: agentEvents,
    clock,
    random,
    log,
    metrics,
    tls: { ca: pki.clusterAuthority.cert, cert: pki.gateway.cert, key: pki.gateway.key },
    address: `${options.bindAddress}:${options.gatewayPort}`,
    epoch: startRevision,
    // Read at each session: it is not known before bootstrap has run.
    get clusterUid() {
      return informers.for(Namespace).get(uidNamespace)?.metadata.uid ?? ''
    },
    clusterCidr: options.clusterCidr,
    serviceCidr,
  })
  const apiServer = createApiServer({
    registry,
    streams: leader.streams(gateway),
    tls: { ca: pki.clusterAuthority.cert, cert: pki.apiserver.cert, key: pki.apiserver.key },
    host: options.bindAddress,
    port: options.apiPort,
    clock,
    log,
    metrics,
    notReady: () =>
      informers.services.every((one) => (one as { hasSynced?: boolean }).hasSynced === true)
        ? undefined
        : 'the informers have not synced',
  })
  const apiServerPlace = { addresses: ownAddresses(), port: options.apiPort, clusterIP: firstAddress(serviceCidr) }
  const leading: readonly (readonly Service[])[] = [
    [once('bootstrap', (signal) => bootstrap({ client, apiServer: apiServerPlace, signal }))],
    [events, schedulerEvents, agentEvents],
    [...controllerServices(defs, common), createScheduler({ ...common, events: schedulerEvents }), whenKnown(gateway, informers)],
  ]
  const upkeep =
    etcd.process.length > 0
      ? [
          createCompactor({ store, clock, log }),
          createEtcdUpkeep({ store: etcd.store, quotaBytes: etcdQuotaBytes, clock, log, metrics }),
        ]
      : []
  return [[...etcd.process], [cache, ...upkeep], [...informers.services], [apiServer], [leader.service(leading, store, deps)]]
}

/** No agent may be welcomed before the cluster has its UID: that of the namespace kube-system, which bootstrap makes. */
function whenKnown(gateway: Service, informers: Informers): Service {
  const namespaces = informers.for(Namespace)
  return {
    name: gateway.name,
    async run(signal) {
      const bell = new Bell()
      {
        using _ = namespaces.onChange(() => bell.ring())
        while (namespaces.get(uidNamespace) === undefined) await bell.wait({ signal })
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
  /** Of the last election that was won. After it is lost writes with it fail, which is what it is for (law 4). */
  fence: Leadership['fence'] | undefined
  #isLeading = false

  service(groups: readonly (readonly Service[])[], store: Parts['store'], { clock, random, log }: ControlPlaneDeps): Service {
    return {
      name: 'leader',
      run: async (signal) => {
        const key = `${electionPrefix}controlplane`
        const leadership = await store.campaign({ key, value: hostname(), ttlMs: leaderTtlMs, signal })
        this.fence = leadership.fence
        this.#isLeading = true
        log.info('leading', { epoch: leadership.fence.createRevision })
        try {
          const both = AbortSignal.any([signal, leadership.lost])
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

async function writeAdminKubeconfig({ dataDir, apiPort }: Options, { admin, clusterAuthority, folder }: Pki): Promise<void> {
  const text = kubeconfig({ server: `https://127.0.0.1:${apiPort}`, ca: clusterAuthority.cert, cert: admin.cert, key: admin.key })
  await writeWhole(join(folder ?? dataDir, 'admin.kubeconfig'), text, 0o600)
}

/** IPv4 addresses of this machine, without loopback and our own bridge. */
function ownAddresses(): readonly string[] {
  const all = Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    /^(docker|skiff|br-|veth)/.test(name) ? [] : (addresses ?? []),
  )
  const addresses = all.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address)
  return addresses.length > 0 ? addresses : ['127.0.0.1']
}

const ownHosts = ({ advertise }: Options): readonly string[] => [hostname(), ...ownAddresses(), ...advertise]

/** `10.43.0.0/16` gives `10.43.0.1`, which is kept for the service `kubernetes`. */
export function firstAddress(cidr: string): string {
  const [base = ''] = cidr.split('/')
  const parts = base.split('.').map(Number)
  return [...parts.slice(0, 3), (parts[3] ?? 0) + 1].join('.')
}
