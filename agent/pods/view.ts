import type { Sandbox } from '../contracts.ts'
import type { ContainerState, ImageInfo } from '../runtime/runtime.ts'
import type { Pod } from './pod-types.ts'

/** Annotations that Skiff writes on its containers: what the next agent could not know otherwise (law 6). */
export const annotationKeys = {
  /** Id of the sandbox the container was made for. */
  sandbox: 'sandbox',
  /** How many restarts in a row led to this container, without a long run between them. */
  streak: 'streak',
  /** The pod's termination grace, for when its object is gone. */
  graceMs: 'grace-ms',
  /** The host name for which the container's gate waits. */
  gate: 'gate',
} as const

/** One attempt at running a container. Times are monotonic milliseconds, so a jump of the wall clock moves nothing. */
export interface Attempt {
  readonly state: ContainerState
  readonly isDead: boolean
  /** When it ended; for a dead one only. */
  readonly endedMs: number | undefined
  readonly ranMs: number
  readonly streak: number
  readonly sandboxId: string | undefined
}

/** The pod's containers as the engine has them. */
export interface SeenPod {
  /** Newest first. */
  readonly sandboxes: readonly ContainerState[]
  /** By name in the spec, each newest first. */
  readonly attempts: ReadonlyMap<string, readonly Attempt[]>
}

/** Why something does not go on, and until when (monotonic). After `then.atMs` another reason is shown. */
export interface Wait {
  readonly reason: string
  readonly message: string
  readonly untilMs: number
  /** Of a failed pull: no other before (monotonic), though the image may be looked for. */
  readonly pullAtMs?: number
  readonly then?: { readonly atMs: number; readonly reason: string; readonly message: string }
}

/** Something that goes on beside the worker, at most one per container name. */
export type Activity =
  | { readonly kind: 'image'; readonly image: string; readonly attempt: number }
  | { readonly kind: 'postStart'; readonly id: string }
  | { readonly kind: 'stop'; readonly id: string; readonly endsMs: number }

export interface ReadyImage {
  readonly image: string
  readonly attempt: number
  readonly info: ImageInfo
}

export type StopCause = 'deleted' | 'removed' | 'deadline' | 'finished'

export interface Stop {
  readonly cause: StopCause
  /** When the grace is over, monotonic. */
  readonly endsMs: number
  /** The grace it was reckoned from. */
  readonly graceMs: number
}

/** What the engine does not know about the pod and this agent has learnt since it started. */
export interface Memory {
  /** The sandbox of the last `ensure`; holds while a container of this id runs. */
  readonly sandbox: Sandbox | undefined
  readonly volumesReady: boolean
  readonly images: ReadonlyMap<string, ReadyImage>
  /** By what waits: `sandbox`, `volumes`, `image/<container>`, `container/<container>`, `stop/<container>`. */
  readonly waits: ReadonlyMap<string, Wait>
  readonly activities: ReadonlyMap<string, Activity>
  /** By container id, for those with a hook that this agent started. */
  readonly postStart: ReadonlyMap<string, 'pending' | 'done' | 'failed'>
  /** Running containers whose gates could not become their commands. */
  readonly shut: ReadonlySet<string>
  /** By container id: which probe says that it must be restarted. */
  readonly unhealthy: ReadonlyMap<string, { readonly message: string; readonly graceMs: number | undefined }>
  readonly stop: Stop | undefined
  readonly sandboxRemoved: boolean
  readonly volumesCleaned: boolean
}

/** Everything a step is decided from. */
export interface PodView {
  readonly pod: Pod
  readonly seen: SeenPod
  readonly memory: Memory
  /** Monotonic. */
  readonly nowMs: number
  /** Hash of each container's spec by name. */
  readonly hashes: ReadonlyMap<string, string>
}

export const newestOf = (seen: SeenPod, container: string): Attempt | undefined => seen.attempts.get(container)?.[0]

/** What to show of a wait now. */
export function shownWait(wait: Wait, nowMs: number): { readonly reason: string; readonly message: string } {
  return wait.then !== undefined && nowMs >= wait.then.atMs ? wait.then : wait
}

/** The wait under `key` unless it is over. */
export function pendingWait({ memory, nowMs }: Pick<PodView, 'memory' | 'nowMs'>, key: string): Wait | undefined {
  const wait = memory.waits.get(key)
  return wait !== undefined && wait.untilMs > nowMs ? wait : undefined
}

/** A container in a sandbox that is gone answers nobody. */
export function isInLiveSandbox(view: PodView, { sandboxId }: Attempt): boolean {
  return sandboxId !== undefined && liveSandbox(view)?.containerId === sandboxId
}

/** The sandbox that containers are to run in: the one last ensured, while it runs. */
export function liveSandbox({ seen, memory }: PodView): Sandbox | undefined {
  const { sandbox } = memory
  const isRunning = seen.sandboxes.some(({ id, status }) => id === sandbox?.containerId && status === 'running')
  return isRunning ? sandbox : undefined
}
