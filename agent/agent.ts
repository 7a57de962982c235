import { join } from 'node:path'
import process from 'node:process'
import type { NodeStatus } from '../api/kinds/node-status.ts'
import { Backoff } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Metrics } from '../lib/metrics.ts'
import { createWhole, privateFolder, readIfThere } from '../lib/private-files.ts'
import { type Random, uuid } from '../lib/random.ts'
import { type Service, superviseGroups } from '../lib/service.ts'
import { processUpkeep } from '../lib/upkeep.ts'
import { CheckpointFolder } from './desired/checkpoint.ts'
import { type DesiredStore, openDesiredStore } from './desired/desired-store.ts'
import type { Wrappers } from './failpoints.ts'
import { createRunCommand, type RunCommand } from './host/command.ts'
import { DiskRoom } from './host/disk-room.ts'
import { architectureOf, type HostFacts, readHostFacts } from './host/facts.ts'
import { createShell } from './host/shell.ts'
import { metricsServer } from './metrics-server.ts'
import { HostPorts } from './network/host-ports.ts'
import { NetworkFollower } from './network/network-follower.ts'
import { NodeNetwork } from './network/node-network.ts'
import { createServiceProxy } from './network/service-proxy.ts'
import { NodeWatch, type NodeWatchOptions } from './node-status.ts'
import type { Options } from './options.ts'
import { createContainerIds } from './pods/container-id.ts'
import { createPods, type Pods } from './pods/pods.ts'
import { createProbes } from './probes/probes.ts'
import { createDockerRuntime } from './runtime/docker/docker-runtime.ts'
import { readHostRights } from './runtime/docker/host-rights.ts'
import { removeImage } from './runtime/docker/remove-image.ts'
import { programArchitecture } from './sandbox/elf.ts'
import { Gates } from './sandbox/gates.ts'
import { pauseImage } from './sandbox/pause-image.ts'
import { podFiles } from './sandbox/pod-files.ts'
import { createSandboxes, type SandboxesOptions } from './sandbox/sandboxes.ts'
import { askForCertificate } from './session/channel.ts'
import { NodeCertificate, type NodeCertificateOptions } from './session/node-certificate.ts'
import { createSession, type Session } from './session/session.ts'
import { createVolumes } from './volumes/volumes.ts'

export interface AgentDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  /** Where a test makes it die. */
  readonly failpoints: Wrappers
}

export const agentVersion = 'v0.1.0'
const drainMs = 5_000
/** Each is a container with its supervisor in memory. */
const maxSpareSandboxes = 50
/** What a prepared sandbox takes of the host with its supervisor, roughly. */
const spareBytes = 8 * 1024 * 1024
const backoffs = { baseMs: 200, maxMs: 10_000, resetAfterMs: 60_000 }
/** What the gateway's certificate is for, whatever address it is dialled by. */
const gatewayName = 'skiff-gateway'

/** Puts an agent together and runs it until aborted. Containers go on running. The only place that sees all rooms. */
export async function runAgent(options: Options, deps: AgentDeps, signal: AbortSignal): Promise<void> {
  const { clock, log, random, metrics, failpoints } = deps
  await privateFolder(options.dataDir)
  const run = failpoints.command(createRunCommand({ clock }))
  const facts = await factsOf(options, run, signal)
  const rights = await readHostRights()
  const owner = await ownerOf(options.dataDir, random)
  const socketPath = socketOf(options.dockerHost)
  const runtime = failpoints.runtime(createDockerRuntime({ socketPath, owner, clock, log, metrics, rights }))
  const checkpoint = failpoints.checkpoint(new CheckpointFolder(join(options.dataDir, 'desired')))
  const desired = await openDesiredStore({ folder: checkpoint, clock, log })
  const hostPorts = new HostPorts()
  let running: Pods | undefined
  using shell = createShell({ clock, random })
  const quick = failpoints.command(shell)
  const network = new NodeNetwork({ bridge: options.bridge, run: quick, log })
  const spares = await preparedAhead(options, { ...facts, run: quick, isBusy: () => running?.isBusy ?? true }, deps, signal)
  const sandboxes = createSandboxes({ ...spares, runtime, network, hostPorts, nodeIp: facts.ip, run: quick, clock, log })
  const adopt = (opts: { readonly signal: AbortSignal }): Promise<void> => sandboxes.adopt(opts)
  const proxy = createServiceProxy({ network, hostPorts, nodeName: options.nodeName, run, clock, log, metrics, adopt })
  const follower = new NetworkFollower({ desired, network, proxy, adopt, clock, log })
  const volumes = failpoints.volumes(createVolumes({ root: join(options.dataDir, 'pods'), node: facts, clock, random, log }))
  const probes = createProbes({ runtime, clock, random, log })
  let report: (status: NodeStatus) => void = () => undefined
  const nodeWatch = new NodeWatch({
    facts,
    runtime,
    version: agentVersion,
    missingCapabilities: rights.missingCapabilities,
    networkError: () => follower.error,
    diskError: diskErrorOf(options.dataDir, desired),
    unlistedPods: () => running?.unlisted ?? [],
    report: (status) => report(status),
    clock,
    log,
  })
  const certificate = new NodeCertificate({
    folder: join(options.dataDir, 'pki'),
    addresses: options.controlPlanes,
    ask: failpoints.ask(asking(clock)),
    onRenewed: () => session.reconnect('the certificate was renewed'),
    ...{ clock, random, log, metrics },
  })
  const session: Session = createSession({
    node: options.nodeName,
    version: agentVersion,
    addresses: options.controlPlanes,
    tls: () => certificate.read(),
    renewCertificate: () => certificate.renew(),
    serverName: gatewayName,
    through: (link) => failpoints.link(link),
    desired,
    nodeObject: () => nodeWatch.look(signal),
    streams: { runtime, containerId: createContainerIds({ runtime, desired, clock, statusOf: (uid) => running?.status(uid) }) },
    ...{ clock, random, log, metrics },
  })
  report = (status) => session.nodeStatus(status)
  const pods = createPods({
    ...{ desired, runtime, sandboxes, volumes, probes, clock, random, log, metrics },
    reporter: session,
    node: facts,
    podFiles: (pod, ip, folder) => podFiles(pod, ip, folder),
    services: () => desired.services?.services ?? [],
  })
  running = pods
  const server = options.metricsAddress === '' ? [] : [metricsServer(options.metricsAddress, metrics)]
  const groups: readonly (readonly Service[])[] = [
    [...server, processUpkeep({ clock, log, metrics }), follower, proxy, probes],
    [pods, sandboxes],
    [session, certificate, nodeWatch],
  ]
  const backoff = new Backoff({ ...backoffs, clock, random })
  await superviseGroups(groups, { clock, log, backoff, signal, drainMs })
}

const factsOf = (options: Options, run: RunCommand, signal: AbortSignal): Promise<HostFacts> =>
  readHostFacts(
    {
      name: options.nodeName,
      ip: options.nodeIp,
      storageFolder: options.dataDir,
      run,
      ownInterfaces: [options.bridge, 'docker0'],
    },
    { signal },
  )

function diskErrorOf(dataDir: string, desired: Pick<DesiredStore, 'writeError'>): NodeWatchOptions['diskError'] {
  const room = new DiskRoom()
  return async (engineFolder) => {
    const folders = engineFolder === undefined || engineFolder === '' ? [dataDir] : [dataDir, engineFolder]
    const unwritten = desired.writeError === undefined ? [] : [`the agent cannot write its state: ${desired.writeError}`]
    const troubles = [await room.trouble(folders), ...unwritten].filter((trouble) => trouble !== undefined)
    return troubles.length === 0 ? undefined : troubles.join('; ')
  }
}

const asking =
  (clock: Clock): NodeCertificateOptions['ask'] =>
  (address, tls, csrPem, opts) =>
    askForCertificate({ address, tls, serverName: gatewayName }, csrPem, { ...opts, clock })

/**
 * What it takes to have sandboxes ready. None is kept where the program that containers in them need cannot be run, as
 * where the data folder's file system forbids it.
 */
async function preparedAhead(
  { dataDir, spareSandboxes, maxSpareSandboxes: wanted }: Options,
  { run, isBusy, memoryBytes }: { readonly run: RunCommand; isBusy(): boolean; readonly memoryBytes: number },
  { clock, random, log }: AgentDeps,
  signal: AbortSignal,
): Promise<Pick<SandboxesOptions, 'gates' | 'spares'>> {
  const architecture = programArchitecture(architectureOf(process.arch))
  if (architecture === undefined) return {}
  const gates = new Gates({ folder: join(dataDir, 'programs'), architecture, run, clock })
  const trouble = spareSandboxes > 0 ? await gates.trouble({ signal }) : undefined
  if (trouble !== undefined)
    log.warn('no sandboxes are prepared ahead: the program that containers in them need cannot be run', { trouble })
  const size = trouble === undefined ? Math.min(spareSandboxes, maxSpareSandboxes) : 0
  const affordable = Math.floor(memoryBytes / 100 / spareBytes)
  const most = Math.max(size, Math.min(wanted, affordable, maxSpareSandboxes))
  return { gates, spares: { size, most, isBusy, random } }
}

/** Removes whatever an agent with this data folder made on the host: containers, volumes, links, rules, its image. */
export async function purgeAgent(
  options: Options,
  { clock, log, random }: Omit<AgentDeps, 'failpoints'>,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const opts = { signal }
  const run: RunCommand = createRunCommand({ clock })
  const socketPath = socketOf(options.dockerHost)
  const owner = await ownerOf(options.dataDir, random)
  const runtime = createDockerRuntime({ socketPath, owner, clock, log })
  const containers = await runtime.list(opts)
  // Sandboxes last: the others live in their namespaces.
  const ordered = containers.toSorted((a, b) => Number(a.identity.role === 'sandbox') - Number(b.identity.role === 'sandbox'))
  for (const { id } of ordered) await runtime.remove(id, opts)
  say(`✓ ${containers.length} containers removed`)
  const facts = { name: options.nodeName, ip: '', cpuMilli: 0, memoryBytes: 0 }
  const volumes = createVolumes({ root: join(options.dataDir, 'pods'), node: facts, clock, random, log })
  for (const uid of await volumes.known(opts)) await volumes.cleanUp(uid, opts)
  const network = new NodeNetwork({ bridge: options.bridge, run, log })
  const proxy = createServiceProxy({ network, hostPorts: new HostPorts(), nodeName: options.nodeName, run, clock, log })
  await proxy.remove(opts)
  await network.remove(opts)
  say('✓ volumes, network and packet-filter rules removed')
  const { architecture } = await runtime.info(opts)
  for (const image of [pauseImage(architecture).tag, exampleImage]) await removeImage(image, { socketPath, clock }, opts)
  say('✓ images removed, unless something else uses them')
}

/** Made by npm start. */
const exampleImage = 'skiff/hello:1'

/** Written on every container, so that several agents can share an engine without touching each other's. */
async function ownerOf(dataDir: string, random: Random): Promise<string> {
  const file = join(dataDir, 'owner')
  await privateFolder(dataDir)
  await createWhole(file, `${uuid(random)}\n`, 0o600)
  return ((await readIfThere(file)) ?? '').trim()
}

export function socketOf(dockerHost: string): string {
  if (!dockerHost.startsWith('unix://'))
    throw new Error(`--docker-host: "${dockerHost}" is not of the form unix:///path/to/docker.sock`)
  return dockerHost.slice('unix://'.length)
}
