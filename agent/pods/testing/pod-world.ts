import type { ConfigMap } from '../../../api/kinds/config-map.ts'
import type { Secret } from '../../../api/kinds/secret.ts'
import { FakeClock } from '../../../lib/clock.ts'
import { silentLog } from '../../../lib/log.ts'
import { createMetrics } from '../../../lib/metrics.ts'
import { seededRandom } from '../../../lib/random.ts'
import type { Service } from '../../../lib/service.ts'
import type { DesiredState, PodEvent, Reporter, Sandboxes } from '../../contracts.ts'
import { createProbes } from '../../probes/probes.ts'
import { HollowRuntime } from '../../runtime/hollow/hollow-runtime.ts'
import type { HollowOptions } from '../../runtime/hollow/script.ts'
import type { ContainerSpec, ContainerState } from '../../runtime/runtime.ts'
import type { PodsDeps, PodVolumes } from '../deps.ts'
import type { Pod, PodStatus } from '../pod-types.ts'
import { createPods } from '../pods.ts'

export const sandboxImage = 'skiff/pause:test'

type Listener = (uids: readonly string[]) => void

/** Desired state by hand. */
export class TestDesired implements DesiredState {
  isKnown = true
  readonly map = new Map<string, Pod>()
  readonly configMaps = new Map<string, ConfigMap>()
  readonly secrets = new Map<string, Secret>()
  readonly removed = new Set<string>()
  readonly #listeners = new Set<Listener>()

  put(pod: Pod): void {
    this.map.set(pod.metadata.uid ?? '', pod)
    this.tell(pod.metadata.uid ?? '')
  }

  remove(uid: string): void {
    this.map.delete(uid)
    this.removed.add(uid)
    this.tell(uid)
  }

  tell(uid: string): void {
    for (const listener of this.#listeners) listener([uid])
  }

  pod(uid: string): Pod | undefined {
    return this.map.get(uid)
  }
  pods(): readonly Pod[] {
    return [...this.map.values()]
  }
  configMap(namespace: string, name: string): ConfigMap | undefined {
    return this.configMaps.get(`${namespace}/${name}`)
  }
  secret(namespace: string, name: string): Secret | undefined {
    return this.secrets.get(`${namespace}/${name}`)
  }
  isRemoved(uid: string): boolean {
    return this.removed.has(uid)
  }
  forget(uid: string): void {
    this.removed.delete(uid)
  }
  subscribe(listener: Listener): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }
}

export class TestReporter implements Reporter {
  readonly statuses: { readonly uid: string; readonly status: PodStatus; readonly terminated: boolean }[] = []
  readonly events: PodEvent[] = []

  status(pod: Pod, status: PodStatus, terminated: boolean): void {
    this.statuses.push({ uid: pod.metadata.uid ?? '', status, terminated })
  }
  event(_pod: Pod, event: PodEvent): void {
    this.events.push(event)
  }
}

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

export class TestVolumes implements PodVolumes {
  readonly folders = new Set<string>()
  readonly words = new Map<string, string>()
  failure: Error | undefined

  async prepare(pod: Pod): Promise<ReadonlyMap<string, string>> {
    this.folders.add(pod.metadata.uid ?? '')
    if (this.failure !== undefined) throw this.failure
    return new Map((pod.spec.volumes ?? []).map(({ name }) => [name, `/volumes/${name}`]))
  }
  async refresh(): Promise<void> {
    // Nothing is written.
  }
  async cleanUp(uid: string): Promise<void> {
    this.folders.delete(uid)
  }
  async known(): Promise<readonly string[]> {
    return [...this.folders]
  }
  async subPath(_place: unknown, volumePath: string, subPath: string): Promise<string> {
    return `${volumePath}/${subPath}`
  }
  async terminationLog(uid: string, container: string, attempt: number): Promise<string> {
    return `/logs/${uid}/${container}/${attempt}`
  }
  async lastWords(_uid: string, container: string, attempt: number): Promise<string> {
    return this.words.get(`${container}/${attempt}`) ?? ''
  }
  async filesFolder(uid: string): Promise<string> {
    return `/files/${uid}`
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

  constructor(options: HollowOptions = {}) {
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
      podFiles: async () => [],
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

/** A pod with one container `web` of image `web:1`. */
export function testPod(spec: Partial<Pod['spec']> = {}, metadata: Partial<Pod['metadata']> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default', uid: 'uid-1', resourceVersion: '1', ...metadata },
    spec: { containers: [{ name: 'web', image: 'web:1' }], restartPolicy: 'Always', ...spec },
  }
}
