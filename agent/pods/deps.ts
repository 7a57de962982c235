import type { ServiceEntry } from '../../api/proto/agent.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Metrics } from '../../lib/metrics.ts'
import type { Random } from '../../lib/random.ts'
import type { DesiredState, NodeFacts, Reporter, Sandboxes, Volumes } from '../contracts.ts'
import type { Mount, Runtime } from '../runtime/runtime.ts'
import type { Pod, Probe } from './pod-types.ts'

/** Volumes, and the files that go with single containers. */
export interface PodVolumes extends Volumes {
  /** Host path of a `subPath` of a prepared volume, made when missing; never outside the volume. */
  subPath(
    place: { readonly podUid: string; readonly container: string; readonly index: number },
    volumePath: string,
    subPath: string,
    opts: AbortOptions,
  ): Promise<string>
  /** Makes the file for a container's last words. */
  terminationLog(podUid: string, container: string, attempt: number, opts: AbortOptions): Promise<string>
  /** Reads it; empty when there is none. */
  lastWords(podUid: string, container: string, attempt: number, opts: AbortOptions): Promise<string>
  /** The folder for files of the pod as a whole, such as /etc/hosts; whoever writes there makes it. */
  filesFolder(podUid: string): string
}

/** A running container to be probed. */
export interface ProbeTarget {
  readonly containerId: string
  readonly container: string
  readonly podIp: string
  readonly probes: { readonly startup?: Probe; readonly liveness?: Probe; readonly readiness?: Probe }
  /** Number of a port by its name. */
  readonly ports: ReadonlyMap<string, number>
  /** How long it has run already: an adopted container's probes are spread over their period. */
  readonly ranMs: number
  /** What the API last had of this very container, so that a new agent doesn't begin by taking it out of service. */
  readonly was: { readonly isReady: boolean; readonly isStarted: boolean }
  /** Only readiness is probed: a container that is being stopped is not restarted. */
  readonly isStopping: boolean
}

export interface ProbeListener {
  changed(podUid: string): void
  failed(podUid: string, container: string, message: string): void
}

/** Probes the containers it is told of. Bounded by their number; never two checks of one probe at a time. */
export interface Probes {
  /** These and no others are the pod's containers to probe. Results of one that stays are kept. */
  sync(podUid: string, targets: readonly ProbeTarget[]): void
  isStarted(podUid: string, containerId: string): boolean
  isReady(podUid: string, containerId: string): boolean
  /** Why the container must be restarted; undefined while it need not be. */
  unhealthy(podUid: string, containerId: string): { readonly message: string; readonly graceMs: number | undefined } | undefined
  /** A container that ran before this agent did has not answered yet whether it is ready: what was told of it holds. */
  isAwaited(podUid: string): boolean
  subscribe(listener: ProbeListener): Disposable
}

export interface PodsDeps {
  readonly desired: DesiredState
  readonly runtime: Runtime
  readonly sandboxes: Sandboxes
  readonly volumes: PodVolumes
  readonly probes: Probes
  readonly reporter: Reporter
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  readonly node: NodeFacts
  /** Mounts of /etc/hosts, /etc/resolv.conf and the like, written into `folder`. */
  podFiles(pod: Pod, ip: string, folder: string): readonly Mount[]
  /** The services of the cluster as far as they are known, for the pods' environment. */
  services?(): readonly ServiceEntry[]
}
