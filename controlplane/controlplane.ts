import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import type { Certificate } from '../api/proto/agent.ts'
import { Backoff } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Metrics } from '../lib/metrics.ts'
import { readIfThere, writeWhole } from '../lib/private-files.ts'
import type { Random } from '../lib/random.ts'
import { type Service, type SuperviseOptions, superviseGroups } from '../lib/service.ts'
import { processTurns } from '../lib/slots.ts'
import { processUpkeep } from '../lib/upkeep.ts'
import { createApiServer } from './apiserver/server.ts'
import { composeCore, leaderKey } from './core.ts'
import { etcdProcess } from './etcd-process/etcd-process.ts'
import { externalEtcd, followExternalEtcd } from './external-etcd.ts'
import { grpcListener } from './gateway/grpc-listener.ts'
import { RenewableCredentials } from './gateway/server-tls.ts'
import { type LeaderRecord, leaderStreams } from './leader-streams.ts'
import { maintenance } from './maintenance.ts'
import type { Options } from './options.ts'
import { Certificates } from './pki/certificates.ts'
import { kubeconfig } from './pki/kubeconfig.ts'
import { loadOrCreatePki, type Pki } from './pki/pki.ts'
import { schemasAhead } from './schemas-ahead.ts'
import { createCompactor } from './store/compactor.ts'
import { encrypted } from './store/encryption.ts'
import { type EtcdStore, etcdStore } from './store/etcd.ts'
import { createEtcdUpkeep } from './store/etcd-upkeep.ts'
import { markingFences } from './store/fence-mark.ts'
import { KeyringFile } from './store/keyring.ts'
import { RevisionMemory } from './store/revision-memory.ts'
import { SecretsRewrite } from './store/secrets-rewrite.ts'
import type { Store } from './store/store.ts'

export interface ControlPlaneDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  /** Leaves traces by which tests find out who wrote what; costs time and space. */
  readonly debugChecks?: boolean
}

const drainMs = 10_000
/** So long is work begun in one turn of the event loop. */
const turnMs = 3
const backoffs = { baseMs: 200, maxMs: 10_000, resetAfterMs: 60_000 }

/** Puts a whole control plane together and runs it until aborted. The only place that sees all rooms. */
export async function runControlPlane(options: Options, deps: ControlPlaneDeps, signal: AbortSignal): Promise<void> {
  const { clock, log, random, metrics } = deps
  const load = ({ renewAll }: { readonly renewAll: boolean }): Promise<Pki> =>
    loadOrCreatePki(options.dataDir, {
      clock,
      log,
      hosts: ownHosts(options),
      serviceIp: firstAddress(options.serviceCidr),
      lifeMs: options.certificateLife,
      renewAll,
    })
  const pki = await load({ renewAll: false })
  await writeAdminKubeconfig(options, pki)
  const certificates = new Certificates({ pki, load, use: (next) => doors.use(next), clock, log, metrics })
  const etcd = await createEtcd(options, certificates, deps)
  const keyring = await KeyringFile.open(join(options.dataDir, 'pki', 'encryption.json'), { random, log })
  const sealed = encrypted(etcd.store, { keyring, log })
  const store = deps.debugChecks === true ? markingFences(sealed) : sealed
  const rewrite = new SecretsRewrite({ keyring, raw: etcd.store, store, clock, log })
  const doors = await compose(options, { certificates, etcd, store, rewrite }, deps)
  const supervised: SuperviseOptions = { clock, log, backoff: new Backoff({ ...backoffs, clock, random }), signal }
  try {
    await superviseGroups(doors.services, { ...supervised, drainMs })
  } finally {
    etcd.store.close()
  }
}

interface Etcd {
  readonly store: EtcdStore
  /** Whether we run it ourselves. */
  readonly isOurs: boolean
  /** The child process, or what follows the files of somebody else's. */
  readonly services: readonly Service[]
  /** Shows our newest certificates from now on. */
  renew(pki: Pki): void
}

async function createEtcd(options: Options, certificates: Certificates, { clock, log, random }: ControlPlaneDeps): Promise<Etcd> {
  if (options.etcdEndpoints.length > 0) {
    const store = etcdStore({ ...(await externalEtcd(options)), clock, random, log })
    return { store, isOurs: false, services: [followExternalEtcd(options, { store, clock, log })], renew: () => undefined }
  }
  const { etcdServer, etcdAuthorityFile } = certificates.pki
  const child = etcdProcess({
    binary: options.etcdBinary,
    dataFolder: options.dataDir,
    clientPort: options.etcdPort,
    peerPort: options.etcdPort + 1,
    quotaBytes: quotaBytes(options),
    // etcd reads them again for each connection.
    files: { authorityFile: etcdAuthorityFile, certFile: etcdServer.certFile, keyFile: etcdServer.keyFile },
    client: () => etcdClientTls(certificates.pki),
    clock,
    log,
  })
  const store = etcdStore({ endpoints: child.endpoints, tls: etcdClientTls(certificates.pki), clock, random, log })
  return { store, isOurs: true, services: [child], renew: (pki) => store.setTls(etcdClientTls(pki)) }
}

const quotaBytes = ({ etcdQuotaMib }: Options): number => etcdQuotaMib * 1024 ** 2

const etcdClientTls = ({ etcdAuthority, etcdClient }: Pki) => ({
  ca: etcdAuthority.cert,
  cert: etcdClient.cert,
  key: etcdClient.key,
  serverName: 'localhost',
})

const tlsOf = ({ clusterAuthority }: Pki, { cert, key }: { readonly cert: string; readonly key: string }) => ({
  ca: clusterAuthority.cert,
  cert,
  key,
})

interface Parts {
  readonly certificates: Certificates
  readonly etcd: Etcd
  readonly store: Store
  readonly rewrite: SecretsRewrite
}

interface Doors {
  /** Groups in the order in which they start; they stop in the reverse one. */
  readonly services: readonly (readonly Service[])[]
  /** Puts new certificates into use. */
  use(pki: Pki): Promise<void>
}

async function compose(options: Options, { certificates, etcd, store, rewrite }: Parts, deps: ControlPlaneDeps): Promise<Doors> {
  const { clock, log, metrics } = deps
  const { serviceCidr } = options
  const credentials = new RenewableCredentials(tlsOf(certificates.pki, certificates.pki.gateway))
  const memory = await RevisionMemory.open({
    file: join(options.dataDir, 'revision'),
    revision: () => core.cache.revision,
    clock,
    log,
  })
  const turns = processTurns(turnMs)
  const core = composeCore(
    {
      store,
      identity: JSON.stringify(leaderRecord(options)),
      serviceCidr,
      clusterCidr: options.clusterCidr,
      nodePorts: options.nodePorts,
      nodeGraceMs: options.nodeMonitorGracePeriod,
      apiServer: { addresses: ownAddresses(), port: options.apiPort, clusterIP: firstAddress(serviceCidr) },
      listen: grpcListener({
        tls: credentials,
        signNode: (node, csrPem) => signNode(certificates.pki, node, csrPem),
        host: options.bindAddress,
        port: options.gatewayPort,
        clock,
        log,
        turns,
      }),
      position: (opts) => etcd.store.position(opts),
      memory,
      // What has arrived together is answered from one look at etcd.
      gather: () => new Promise((done) => setImmediate(done)),
    },
    { ...deps, turns },
  )
  const apiServer = createApiServer({
    registry: core.registry,
    streams: leaderStreams({
      own: core.streams,
      leads: core.leads,
      store,
      key: leaderKey,
      tls: () => tlsOf(certificates.pki, certificates.pki.controlPlane),
      clock,
    }),
    ownStreams: core.streams,
    tls: tlsOf(certificates.pki, certificates.pki.apiserver),
    host: options.bindAddress,
    port: options.apiPort,
    clock,
    log,
    metrics,
    notReady: () =>
      core.informers.every((one) => (one as { hasSynced?: boolean }).hasSynced === true)
        ? undefined
        : 'the informers have not synced',
    maintenance: maintenance({ certificates, nodes: core.nodes, rewrite, isEtcdShared: !etcd.isOurs }),
  })
  const upkeep = etcd.isOurs
    ? [
        createCompactor({ store, clock, log }),
        createEtcdUpkeep({ store: etcd.store, quotaBytes: quotaBytes(options), clock, log, metrics }),
      ]
    : []
  return {
    services: [
      [processUpkeep({ clock, log, metrics }), ...etcd.services, certificates],
      [core.cache, ...upkeep, memory, rewrite, schemasAhead(clock)],
      core.informers,
      [apiServer],
      [core.leader],
    ],
    async use(pki) {
      apiServer.setTls(tlsOf(pki, pki.apiserver))
      credentials.renew(tlsOf(pki, pki.gateway))
      etcd.renew(pki)
      await writeAdminKubeconfig(options, pki)
    },
  }
}

async function signNode(pki: Pki, node: string, csrPem: string): Promise<Certificate> {
  return { certPem: await pki.signNodeRequest(node, csrPem), caPem: pki.clusterAuthority.cert }
}

async function writeAdminKubeconfig({ dataDir, apiPort }: Options, { admin, clusterAuthority, folder }: Pki): Promise<void> {
  const text = kubeconfig({ server: `https://127.0.0.1:${apiPort}`, ca: clusterAuthority.cert, cert: admin.cert, key: admin.key })
  const file = join(folder ?? dataDir, 'admin.kubeconfig')
  if ((await readIfThere(file)) !== text) await writeWhole(file, text, 0o600)
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

/** Where the other control planes find this one while it leads. */
function leaderRecord({ bindAddress, advertise, apiPort }: Options): LeaderRecord {
  const hosts = bindAddress === '0.0.0.0' || bindAddress === '::' ? [...advertise, ...ownAddresses()] : [bindAddress]
  const servers = hosts.map((host) => `https://${host.includes(':') ? `[${host}]` : host}:${apiPort}`)
  return { identity: hostname(), servers }
}

/** `10.43.0.0/16` gives `10.43.0.1`, which is kept for the service `kubernetes`. */
export function firstAddress(cidr: string): string {
  const [base = ''] = cidr.split('/')
  const parts = base.split('.').map(Number)
  return [...parts.slice(0, 3), (parts[3] ?? 0) + 1].join('.')
}
