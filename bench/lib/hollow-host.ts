// One process with many agents: the real session, desired state and pods, on engines that run nothing. A child of bench/scale.ts.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { openDesiredStore } from '../../agent/desired/desired-store.ts'
import type { HostFacts } from '../../agent/host/facts.ts'
import { HostPorts } from '../../agent/network/host-ports.ts'
import { NetworkFollower } from '../../agent/network/network-follower.ts'
import { NodeNetwork } from '../../agent/network/node-network.ts'
import { NodeWatch } from '../../agent/node-status.ts'
import { createPods, type Pods } from '../../agent/pods/pods.ts'
import { TestVolumes } from '../../agent/pods/testing/doubles.ts'
import { createProbes } from '../../agent/probes/probes.ts'
import { HollowRuntime } from '../../agent/runtime/hollow/hollow-runtime.ts'
import { createSandboxes } from '../../agent/sandbox/sandboxes.ts'
import { createSession } from '../../agent/session/session.ts'
import type { NodeStatus } from '../../api/kinds/node-status.ts'
import { Backoff } from '../../lib/backoff.ts'
import { systemClock as clock } from '../../lib/clock.ts'
import { silentLog as log } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { systemRandom as random } from '../../lib/random.ts'
import { type Service, superviseGroups } from '../../lib/service.ts'

const [folder = '', address = '', first = '0', last = '0'] = process.argv.slice(2)
const stop = new AbortController()
process.on('SIGTERM', () => stop.abort())
process.on('disconnect', () => stop.abort())
const ca = readFileSync(join(folder, 'ca.crt'), 'utf8')
/** One set for all: what is counted here is counted by nobody. */
const metrics = sharedMetrics()

const agents = Array.from({ length: Number(last) - Number(first) }, (_, index) => runAgent(Number(first) + index))
await Promise.all(agents)
process.exit(0)

async function runAgent(index: number): Promise<void> {
  const { signal } = stop
  const facts = hostFacts(index)
  const { name } = facts
  const pem = readFileSync(join(folder, `${name}.pem`), 'utf8')
  const runtime = new HollowRuntime(clock, {})
  const desired = await openDesiredStore({ folder: memoryFiles(), clock, log })
  const run = async ({ program }: { readonly program: string }) => ({
    code: 0,
    stdout: program === 'cat' ? '1\n' : '',
    stderr: '',
  })
  const nothing = async (): Promise<void> => undefined
  const network = new NodeNetwork({ bridge: 'skiff0', run, log })
  const wiring = { make: nothing, ensure: nothing, remove: nothing }
  const sandboxes = createSandboxes({ runtime, network, run, wiring, clock, log, hostPorts: new HostPorts(), nodeIp: facts.ip })
  const adopt = (opts: { readonly signal: AbortSignal }): Promise<void> => sandboxes.adopt(opts)
  const follower = new NetworkFollower({ desired, network, proxy: { update: () => undefined }, adopt, clock, log })
  const probes = createProbes({ runtime, clock, random, log })
  let unlistedPods = (): Pods['unlisted'] => []
  let report: (status: NodeStatus) => void = () => undefined
  const nodeWatch = new NodeWatch({
    ...{ facts, runtime, clock, log },
    version: 'hollow',
    missingCapabilities: [],
    networkError: () => follower.error,
    diskError: async () => undefined,
    unlistedPods: () => unlistedPods(),
    report: (status) => report(status),
  })
  const session = createSession({
    node: name,
    version: 'hollow',
    addresses: [address],
    serverName: 'skiff-gateway',
    tls: () => ({ ca, cert: pem, key: pem }),
    desired,
    nodeObject: () => nodeWatch.look(signal),
    streams: { runtime, containerId: async () => 'none' },
    ...{ clock, random, log, metrics },
  })
  report = (status) => session.nodeStatus(status)
  const pods = createPods({
    ...{ desired, runtime, sandboxes, probes, clock, random, log, metrics },
    volumes: new TestVolumes(),
    reporter: session,
    node: facts,
    podFiles: () => [],
    services: () => desired.services?.services ?? [],
  })
  unlistedPods = () => pods.unlisted
  const groups: readonly (readonly Service[])[] = [[follower, probes], [pods], [session, nodeWatch]]
  const backoff = new Backoff({ baseMs: 200, maxMs: 10_000, resetAfterMs: 60_000, clock, random })
  await superviseGroups(groups, { clock, log, backoff, signal, drainMs: 2000 })
}

function memoryFiles() {
  const files = new Map<string, string>()
  return {
    load: async () => ({ files, damaged: [] }),
    write: async (name: string, text: string) => void files.set(name, text),
    remove: async (name: string) => void files.delete(name),
  }
}

function sharedMetrics() {
  const made = createMetrics('skiff_')
  const known = new Map<string, unknown>()
  const once = <T>(name: string, make: () => T): T => {
    if (!known.has(name)) known.set(name, make())
    return known.get(name) as T // Made under this name by the same function.
  }
  return {
    counter: (...args: Parameters<typeof made.counter>) => once(args[0], () => made.counter(...args)),
    gauge: (...args: Parameters<typeof made.gauge>) => once(args[0], () => made.gauge(...args)),
    histogram: (...args: Parameters<typeof made.histogram>) => once(args[0], () => made.histogram(...args)),
    onRender: (...args: Parameters<typeof made.onRender>) => made.onRender(...args),
    render: () => made.render(),
  }
}

function hostFacts(index: number): HostFacts {
  const name = `hollow-${index}`
  return {
    name,
    ip: `192.0.${Math.floor(index / 250)}.${(index % 250) + 1}`,
    cpuMilli: 64_000,
    memoryBytes: 2 ** 37,
    hostname: name,
    machineId: name,
    systemUuid: name,
    bootId: name,
    kernelVersion: '0',
    osImage: 'hollow',
    architecture: 'amd64',
    storageBytes: 2 ** 40,
  }
}
