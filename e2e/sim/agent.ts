import type { CheckpointFiles, LoadedFiles } from '../../agent/desired/checkpoint.ts'
import { openDesiredStore } from '../../agent/desired/desired-store.ts'
import type { HostFacts } from '../../agent/host/facts.ts'
import { HostPorts } from '../../agent/network/host-ports.ts'
import { NetworkFollower } from '../../agent/network/network-follower.ts'
import { NodeNetwork } from '../../agent/network/node-network.ts'
import { NodeWatch } from '../../agent/node-status.ts'
import { createPods, type Pods } from '../../agent/pods/pods.ts'
import { createProbes } from '../../agent/probes/probes.ts'
import { createSandboxes } from '../../agent/sandbox/sandboxes.ts'
import { createSession } from '../../agent/session/session.ts'
import type { NodeStatus } from '../../api/kinds/node-status.ts'
import type { ServiceTable } from '../../api/proto/agent.ts'
import { sleep } from '../../lib/async.ts'
import { Backoff } from '../../lib/backoff.ts'
import type { Log } from '../../lib/log.ts'
import { type Service, superviseGroups } from '../../lib/service.ts'
import type { SimEngine } from './engine.ts'
import type { SimNet } from './net.ts'
import { noMetrics } from './no-metrics.ts'
import type { Plant } from './plant.ts'
import type { SimProcess } from './process.ts'
import type { SimVolumes } from './volumes.ts'

/** What a node keeps while its agent comes and goes. */
export interface SimNode {
  readonly name: string
  readonly cpuMilli: number
  readonly engine: SimEngine
  /** The checkpoint. */
  readonly disk: Map<string, string>
  /** Nothing gets written, and nobody is told. */
  diskStands?: boolean
  /** When its agent wrote down that a control plane with another store has welcomed it. */
  welcomedMs?: number
  /** What stood there some time ago. */
  backup: ReadonlyMap<string, string>
  readonly volumes: SimVolumes
  /** What its packet filter was told last. */
  table?: ServiceTable
}

export interface SimAgentOptions {
  readonly node: SimNode
  readonly net: SimNet
  readonly process: SimProcess
  readonly addresses: readonly string[]
  readonly plant: Plant
  readonly log: Log
  /** Ends it in good order. */
  readonly signal: AbortSignal
}

const drainMs = 5_000
/** Few, so that there are pods with and without one. */
const spareSandboxes = 2
/** After pods have come in a group. */
export const maxSpareSandboxes = 4
const backoffs = { baseMs: 200, maxMs: 10_000, resetAfterMs: 60_000 }

/** The agent as `agent/agent.ts` puts it together, on a pretended host. */
export async function runSimAgent({ node, net, process, addresses, plant, log, signal }: SimAgentOptions): Promise<void> {
  const { clock, random } = process
  const metrics = noMetrics
  const facts = hostFacts(node)
  const engine = node.engine.for(process)
  const runtime = plant.runtime?.(engine) ?? engine
  const desired = await openDesiredStore({ folder: diskOf(node, process), clock, log })
  const run = async ({ program }: { readonly program: string }, { signal: inner }: { readonly signal: AbortSignal }) =>
    await process.call(inner, async () => ({ code: 0, stdout: program === 'cat' ? '1\n' : '', stderr: '' }))
  const wire = async (_target: unknown, _network: unknown, opts: { readonly signal: AbortSignal }): Promise<void> => {
    await process.call(opts.signal, async () => undefined)
  }
  const wiring = { make: wire, ensure: wire, remove: async () => undefined }
  const enter = async <T>(result: T, opts: { readonly signal: AbortSignal }): Promise<T> =>
    await process.call(opts.signal, async () => result)
  const gates = {
    program: (opts: { readonly signal: AbortSignal }) => enter('/nonexistent/gate', opts),
    isThere: async () => true,
    nameEarly: (_id: string, _hostname: string, opts: { readonly signal: AbortSignal }) => enter(true, opts),
    open: (_target: unknown, _hostname: string, opts: { readonly signal: AbortSignal }) => enter(true, opts),
  }
  let isBusy = (): boolean => true
  const network = new NodeNetwork({ bridge: 'skiff0', run, log })
  const sandboxes = createSandboxes({
    ...{ runtime, network, run, wiring, gates, clock, log },
    hostPorts: new HostPorts(),
    nodeIp: facts.ip,
    spares: { size: spareSandboxes, most: maxSpareSandboxes, isBusy: () => isBusy(), random },
  })
  const proxy = {
    update: (table: ServiceTable) => {
      if (!process.isDead) node.table = table
    },
  }
  const adopt = (opts: { readonly signal: AbortSignal }): Promise<void> => sandboxes.adopt(opts)
  const follower = new NetworkFollower({ desired, network, proxy, adopt, clock, log })
  const probes = createProbes({ runtime, clock, random, log })
  let unlistedPods = (): Pods['unlisted'] => []
  let report: (status: NodeStatus) => void = () => undefined
  const nodeWatch = new NodeWatch({
    ...{ facts, runtime, clock, log },
    version: 'sim',
    missingCapabilities: [],
    networkError: () => follower.error,
    diskError: async () => undefined,
    unlistedPods: () => unlistedPods(),
    report: (status) => report(status),
  })
  const session = createSession({
    node: node.name,
    version: 'sim',
    addresses,
    tls: () => ({ ca: '', cert: '', key: '' }),
    dial: (address) => net.dial(node.name, process, { address, heard: plant.heard }),
    desired,
    nodeObject: () => nodeWatch.look(signal),
    streams: { runtime, containerId: async () => 'none' },
    ...{ clock, random, log, metrics },
  })
  report = (status) => session.nodeStatus(status)
  const pods = createPods({
    ...{ desired, runtime, sandboxes, probes, clock, random, log, metrics },
    volumes: node.volumes,
    reporter: session,
    node: facts,
    podFiles: () => [],
    services: () => desired.services?.services ?? [],
  })
  isBusy = () => pods.isBusy
  unlistedPods = () => pods.unlisted
  const groups: readonly (readonly Service[])[] = [
    [follower, probes],
    [pods, sandboxes],
    [session, nodeWatch],
  ]
  await superviseGroups(groups, { clock, log, backoff: new Backoff({ ...backoffs, clock, random }), signal, drainMs })
}

/** How often a write to a disk that stands looks whether it may go on. */
const diskStandsMs = 250

function diskOf(node: SimNode, process: SimProcess): CheckpointFiles {
  const { disk } = node
  const { signal } = new AbortController()
  const write = async (work: () => void): Promise<void> => {
    while (node.diskStands === true) await sleep(process.clock, diskStandsMs, signal)
    await process.call(signal, async () => work())
  }
  return {
    load: () => process.call(signal, async (): Promise<LoadedFiles> => ({ files: new Map(disk), damaged: [] })),
    write: (name, text) =>
      write(() => {
        if (name === 'position' && lifeIn(text) !== lifeIn(disk.get(name))) node.welcomedMs = process.clock.monotonicMs()
        disk.set(name, text)
      }),
    remove: (name) => write(() => void disk.delete(name)),
  }
}

const lifeIn = (position: string | undefined): string | undefined => /"incarnation":"([^"]*)"/.exec(position ?? '')?.[1]

const hostFacts = ({ name, cpuMilli }: SimNode): HostFacts => ({
  name,
  ip: `192.0.2.${Number(name.replace(/\D/g, '')) + 1}`,
  cpuMilli,
  memoryBytes: 2 ** 33,
  hostname: name,
  machineId: name,
  systemUuid: name,
  bootId: name,
  kernelVersion: '0',
  osImage: 'hollow',
  architecture: 'amd64',
  storageBytes: 2 ** 36,
})
