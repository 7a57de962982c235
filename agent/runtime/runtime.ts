import type { ExecInput, ExecOptions, ExecOutput, LogOptions } from '../../api/meta/streams.ts'
import type { AbortOptions } from '../../lib/async.ts'

/** What kind of container: the sandbox owns a pod's network and IPC namespaces, the others join it. */
export type ContainerRole = 'sandbox' | 'init' | 'app'

/** Sandboxes that were prepared ahead and belong to no pod yet have UIDs that begin so. */
export const spareUidPrefix = 'spare-'
export const isSpareUid = (podUid: string): boolean => podUid.startsWith(spareUidPrefix)

/** Written as labels on the container, or said by its name: everything by which an agent that knows nothing finds its own again (law 6). */
export interface ContainerIdentity {
  readonly podUid: string
  readonly podNamespace: string
  readonly podName: string
  readonly role: ContainerRole
  /** Name in the pod's spec; `POD` for the sandbox. */
  readonly container: string
  /** 0 for the first; a restart counts up. With pod UID and container it makes the container's name: create-once. */
  readonly attempt: number
  /** Hash of the spec the container was made from. */
  readonly specHash: string
}

export interface Mount {
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
}

export interface ContainerSpec {
  readonly identity: ContainerIdentity
  /** As in the pod's spec. */
  readonly image: string
  readonly command: readonly string[] | undefined
  readonly args: readonly string[] | undefined
  readonly env: readonly { readonly name: string; readonly value: string }[]
  readonly workingDir: string | undefined
  readonly mounts: readonly Mount[]
  /** Container whose namespaces are joined; undefined for a sandbox or for the host's network. */
  readonly sandboxId: string | undefined
  /** Container whose process table is joined; undefined for a table of its own. */
  readonly processesOf: string | undefined
  readonly hostNetwork: boolean
  /**
   * A network namespace of its own in which the engine sets up nothing, and which it does not manage: half as long as the
   * engine takes to make one.
   */
  readonly bareNetwork?: boolean
  /** Without the engine's filter of system calls, which makes up a fifth of a start. For no program but our own. */
  readonly unfiltered?: boolean
  /** Its command begins when the kernel's host name is this one. The program that waits lies at `program` on the host. */
  readonly gate?: { readonly hostname: string; readonly program: string; readonly command: readonly string[] }
  readonly hostname: string | undefined
  readonly cpuShares: number | undefined
  /** Micro-CPUs: 500_000 is half a core. */
  readonly cpuLimitMicro: number | undefined
  readonly memoryLimitBytes: number | undefined
  readonly stdin: boolean
  readonly tty: boolean
  readonly user: string | undefined
  readonly groups: readonly string[]
  readonly privileged: boolean
  readonly readOnlyRootFilesystem: boolean
  readonly capabilitiesAdd: readonly string[]
  readonly capabilitiesDrop: readonly string[]
  readonly noNewPrivileges: boolean
  readonly shmBytes: number | undefined
  readonly sysctls: Readonly<Record<string, string>>
  /** More labels, with Skiff's prefix added. A sandbox carries its address and network name here. */
  readonly annotations: Readonly<Record<string, string>>
}

/** What the engine says about one of our containers. Times are epoch milliseconds of the engine's clock. */
export interface ContainerState {
  readonly id: string
  readonly identity: ContainerIdentity
  readonly status: 'created' | 'running' | 'exited'
  /** It runs, but somebody has frozen it past Skiff. */
  readonly isPaused?: boolean
  readonly image: string
  readonly imageId: string
  readonly createdMs: number
  readonly startedMs: number | undefined
  readonly finishedMs: number | undefined
  readonly exitCode: number | undefined
  /** The kernel killed it, or a process in it, for want of memory. */
  readonly oomKilled: boolean
  /** Why the engine couldn't start it, in its own words. */
  readonly error: string | undefined
  /** Host process id of the first process while it runs. */
  readonly pid: number | undefined
  readonly annotations: Readonly<Record<string, string>>
}

export type ContainerEvent =
  | {
      readonly type: 'changed'
      readonly podUid: string
      readonly containerId: string
      /** It was made, renamed or started, as whoever works on the pod does: less urgent than an end that nobody asked for. */
      readonly isBeginning?: boolean
    }
  /** Events may have been lost: list again. */
  | { readonly type: 'gap' }

export interface ImageInfo {
  readonly id: string
  readonly tags: readonly string[]
  readonly digests: readonly string[]
  readonly sizeBytes: number
  /** `USER` of the image, for runAsNonRoot. */
  readonly user: string
  /** What a container runs that says nothing else. */
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  /** Names of the variables that the image sets. */
  readonly variables: readonly string[]
}

export interface RegistryAuth {
  readonly username: string
  readonly password: string
  readonly serverAddress: string
}

export interface EngineInfo {
  readonly name: string
  readonly version: string
  readonly apiVersion: string
  readonly kernelVersion: string
  readonly operatingSystem: string
  readonly architecture: string
  readonly cpus: number
  readonly memoryBytes: number
  readonly rootFolder: string
  readonly cgroupDriver: string
  readonly liveRestore: boolean
}

/** Predicates over what a Runtime throws. Others are passing trouble: try again later. */
export class RuntimeError extends Error {
  override readonly name = 'RuntimeError'
  readonly code:
    | 'NotFound'
    | 'Conflict'
    | 'ImageNotFound'
    | 'ImagePullFailed'
    | 'InvalidSpec'
    | 'CannotRun'
    | 'Unavailable'
    | 'Timeout'
  constructor(code: RuntimeError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * A container engine as the agent needs it. `docker/` is the real one, `hollow/` runs nothing and serves tests and
 * simulation; both pass `conformance.ts`. Every call is idempotent as said, has its own deadline, and may have taken
 * effect although it failed: the caller looks again (law 5).
 */
export interface Runtime {
  info(opts: AbortOptions): Promise<EngineInfo>
  /** All containers of Skiff on this engine, whatever their state. */
  list(opts: AbortOptions): Promise<readonly ContainerState[]>
  /** One pod's containers. */
  listPod(podUid: string, opts: AbortOptions): Promise<readonly ContainerState[]>
  /** One container of Skiff; undefined when it is gone. */
  state(id: string, opts: AbortOptions): Promise<ContainerState | undefined>
  /** Gives the existing container when one of the same name (pod UID, container, attempt) is there. */
  create(spec: ContainerSpec, opts: AbortOptions): Promise<string>
  /** Started already is fine. CannotRun: the command does not exist and the like; the state then says `exited` or `created` with an error. */
  start(id: string, opts: AbortOptions): Promise<void>
  /** SIGTERM (or the image's signal), after `graceMs` SIGKILL. Returns when it has ended. Gone or ended is fine. */
  stop(id: string, graceMs: number, opts: AbortOptions): Promise<void>
  /**
   * Makes the spare sandbox `spare` that of a pod: it gets the name, and with it the identity, by which `create` would
   * make one. A name has one bearer, so that there can be no two; false when it has one already. NotFound: nobody has
   * the spare's name any more, because it is gone or was taken.
   */
  adopt(spare: ContainerIdentity, identity: ContainerIdentity, opts: AbortOptions): Promise<boolean>
  /** Gone is fine. A running one is killed. */
  remove(id: string, opts: AbortOptions): Promise<void>
  events(opts: AbortOptions): AsyncIterable<ContainerEvent>
  image(ref: string, opts: AbortOptions): Promise<ImageInfo | undefined>
  images(opts: AbortOptions): Promise<readonly ImageInfo[]>
  pull(ref: string, auth: RegistryAuth | undefined, opts: AbortOptions): Promise<void>
  /** Makes an image from a tar of its root file system. Same content, same tag: nothing happens. */
  importImage(tag: string, tar: Uint8Array, config: { readonly entrypoint: readonly string[] }, opts: AbortOptions): Promise<void>
  logs(
    id: string,
    options: LogOptions,
    opts: AbortOptions,
  ): AsyncIterable<{ readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array }>
  exec(id: string, options: ExecOptions, input: AsyncIterable<ExecInput>, opts: AbortOptions): AsyncIterable<ExecOutput>
}
