import { FakeClock } from '../../../../lib/clock.ts'
import { silentLog } from '../../../../lib/log.ts'
import { createMetrics } from '../../../../lib/metrics.ts'
import { seededRandom } from '../../../../lib/random.ts'
import type { Service } from '../../../../lib/service.ts'
import type { Sandboxes } from '../../../contracts.ts'
import type { PodsDeps } from '../../../pods/deps.ts'
import type { Pod, PodStatus } from '../../../pods/pod-types.ts'
import { createPods } from '../../../pods/pods.ts'
import { TestDesired, TestReporter, TestVolumes } from '../../../pods/testing/doubles.ts'
import { createProbes } from '../../../probes/probes.ts'
import type { ContainerSpec, ContainerState } from '../../runtime.ts'
import { HollowRuntime } from '../hollow-runtime.ts'
import type { Behaviour, Fault, HollowOptions } from '../script.ts'

export type PodWorldOptions = HollowOptions
export type PodBehaviour = Behaviour
export type EngineFault = Fault

const sandboxImage = 'skiff/pause:test'

/** Sandboxes on the same engine, as the real ones are. */
function testSandboxes(runtime: HollowRuntime): Sandboxes & { readonly wired: Set<string> } {
  const wired = new Set<string>()
  return {
    wired,
    async ensure(pod, seen, opts) {
      const uid = pod.metadata.uid ?? ''
      const own = seen.filter(({ identity }) => identity.role === 'sandbox')
      const running = own.find(({ status }) => status === 'running')
      wired.add(uid)
      if (running !== undefined) return { containerId: running.id, ip: '10.1.0.1' }
      for (const { id } of own) await runtime.remove(id, opts)
      const attempt = 1 + Math.max(-1, ...own.map(({ identity }) => identity.attempt))
      const id = await runtime.create(sandboxSpec(pod, attempt), opts)
      await runtime.start(id, opts)
      return { containerId: id, ip: '10.1.0.1' }
    },
    async remove(uid, seen, opts) {
      for (const { id, identity } of seen) if (identity.role === 'sandbox') await runtime.remove(id, opts)
      wired.delete(uid)
    },
    noticed: () => undefined,
    gate: async () => '/nonexistent/gate',
    nameEarly: async () => false,
    open: async () => true,
  }
}

function sandboxSpec(pod: Pod, attempt: number): ContainerSpec {
  return {
    identity: {
      podUid: pod.metadata.uid ?? '',
      podNamespace: 'default',
      podName: pod.metadata.name ?? '',
      role: 'sandbox',
      container: 'POD',
      attempt,
      specHash: '',
    },
    image: sandboxImage,
    command: undefined,
    args: undefined,
    env: [],
    workingDir: undefined,
    mounts: [],
    sandboxId: undefined,
    processesOf: undefined,
    hostNetwork: false,
    hostname: undefined,
    cpuShares: undefined,
    cpuLimitMicro: undefined,
    memoryLimitBytes: undefined,
    stdin: false,
    tty: false,
    user: undefined,
    groups: [],
    privileged: false,
    readOnlyRootFilesystem: false,
    capabilitiesAdd: [],
    capabilitiesDrop: [],
    noNewPrivileges: false,
    shmBytes: undefined,
    sysctls: {},
    annotations: {},
  }
}

/** A node in one process on virtual time: the real workers and probes on the hollow runtime. */
export class PodWorld {
  readonly clock = new FakeClock()
  readonly desired = new TestDesired()
  readonly reporter = new TestReporter()
  readonly volumes = new TestVolumes()
  readonly runtime: HollowRuntime
  readonly sandboxes: ReturnType<typeof testSandboxes>
  #stop: { readonly controller: AbortController; readonly ended: Promise<unknown> } | undefined

  constructor(options: PodWorldOptions = {}) {
    const images = [{ ref: sandboxImage }, ...(options.images ?? [{ ref: 'web:1' }])]
    this.runtime = new HollowRuntime(this.clock, { ...options, images })
    this.sandboxes = testSandboxes(this.runtime)
  }

  async start(): Promise<void> {
    const { clock, desired, reporter, volumes, runtime, sandboxes } = this
    const random = seededRandom(1)
    const probes = createProbes({ runtime, clock, random, log: silentLog })
    const deps: PodsDeps = {
      clock,
      desired,
      reporter,
      volumes,
      runtime,
      sandboxes,
      probes,
      random,
      log: silentLog,
      metrics: createMetrics('test_'),
      node: { name: 'node-1', ip: '192.0.2.1', cpuMilli: 4000, memoryBytes: 8e9 },
      podFiles: () => [],
    }
    const controller = new AbortController()
    const services: Service[] = [probes, createPods(deps)]
    this.#stop = { controller, ended: Promise.all(services.map((service) => service.run(controller.signal))) }
    await this.settle()
  }

  /** The agent ends; containers do not. */
  async stop(): Promise<void> {
    this.#stop?.controller.abort(new Error('the test is over'))
    await this.#stop?.ended
    this.#stop = undefined
  }

  /** Lets everything that is due now happen. */
  async settle(): Promise<void> {
    for (let count = 0; count < 30; count++) await new Promise((resolve) => setImmediate(resolve))
  }

  /** Moves time on in small steps, so that what happens meanwhile has its consequences in time. */
  async pass(ms: number, stepMs = 500): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.step(Math.min(stepMs, left))
      await this.settle()
    }
  }

  async containers(uid = 'uid-1'): Promise<readonly ContainerState[]> {
    const states = await this.runtime.listPod(uid, { signal: new AbortController().signal })
    return states.filter(({ identity }) => identity.role !== 'sandbox')
  }

  async all(): Promise<readonly ContainerState[]> {
    return await this.runtime.list({ signal: new AbortController().signal })
  }

  status(uid = 'uid-1'): PodStatus {
    const last = this.reporter.statuses.findLast((one) => one.uid === uid)
    if (last === undefined) throw new Error(`no status of ${uid} was reported`)
    return last.status
  }

  condition(type: string): string | undefined {
    return this.status().conditions?.find((one) => one.type === type)?.status
  }

  get reasons(): readonly string[] {
    return this.reporter.events.map(({ reason }) => reason)
  }
}
