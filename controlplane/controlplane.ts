import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { Backoff } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Metrics } from '../lib/metrics.ts'
import { writeWhole } from '../lib/private-files.ts'
import type { Random } from '../lib/random.ts'
import { type Service, type SuperviseOptions, superviseGroups } from '../lib/service.ts'
import { createApiServer } from './apiserver/server.ts'
import { composeCore } from './core.ts'
import { etcdProcess } from './etcd-process/etcd-process.ts'
import { externalEtcd } from './external-etcd.ts'
import { grpcListener } from './gateway/grpc-listener.ts'
import type { Options } from './options.ts'
import { kubeconfig } from './pki/kubeconfig.ts'
import { loadOrCreatePki, type Pki } from './pki/pki.ts'
import { createCompactor } from './store/compactor.ts'
import { encrypted } from './store/encryption.ts'
import { type EtcdStore, etcdStore } from './store/etcd.ts'
import { createEtcdUpkeep } from './store/etcd-upkeep.ts'
import { loadOrCreateKeyring } from './store/keyring.ts'
import type { Store } from './store/store.ts'

export interface ControlPlaneDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

const drainMs = 10_000
const etcdQuotaBytes = 4 * 1024 ** 3
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
    return { store: etcdStore({ ...(await externalEtcd(options)), clock, random, log }), process: [] }
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
  const tls = { ca: etcdAuthority.cert, cert: etcdClient.cert, key: etcdClient.key, serverName: 'localhost' }
  return { store: etcdStore({ endpoints: child.endpoints, tls, clock, random, log }), process: [child] }
}

interface Parts {
  readonly pki: Pki
  readonly etcd: Etcd
  readonly store: Store
}

/** Groups in the order in which they start; they stop in the reverse one. */
function compose(options: Options, { pki, etcd, store }: Parts, deps: ControlPlaneDeps): readonly (readonly Service[])[] {
  const { clock, log, metrics } = deps
  const { serviceCidr } = options
  const core = composeCore(
    {
      store,
      identity: hostname(),
      serviceCidr,
      clusterCidr: options.clusterCidr,
      nodePorts: options.nodePorts,
      nodeGraceMs: options.nodeMonitorGracePeriod,
      apiServer: { addresses: ownAddresses(), port: options.apiPort, clusterIP: firstAddress(serviceCidr) },
      listen: grpcListener({
        tls: { ca: pki.clusterAuthority.cert, cert: pki.gateway.cert, key: pki.gateway.key },
        address: `${options.bindAddress}:${options.gatewayPort}`,
      }),
    },
    deps,
  )
  const apiServer = createApiServer({
    registry: core.registry,
    streams: core.streams,
    tls: { ca: pki.clusterAuthority.cert, cert: pki.apiserver.cert, key: pki.apiserver.key },
    host: options.bindAddress,
    port: options.apiPort,
    clock,
    log,
    metrics,
    notReady: () =>
      core.informers.every((one) => (one as { hasSynced?: boolean }).hasSynced === true)
        ? undefined
        : 'the informers have not synced',
  })
  const upkeep =
    etcd.process.length > 0
      ? [
          createCompactor({ store, clock, log }),
          createEtcdUpkeep({ store: etcd.store, quotaBytes: etcdQuotaBytes, clock, log, metrics }),
        ]
      : []
  return [[...etcd.process], [core.cache, ...upkeep], core.informers, [apiServer], [core.leader]]
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
