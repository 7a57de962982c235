import type { ConfigMap } from '../api/kinds/config-map.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { PodStatus } from '../api/kinds/pod-status.ts'
import type { Secret } from '../api/kinds/secret.ts'
import type { AbortOptions } from '../lib/async.ts'
import type { ContainerState } from './runtime/runtime.ts'

/** What this node has to run: what the control plane last said, kept on disk across restarts (law 6). */
export interface DesiredState {
  /** False until a checkpoint was read or a complete set came: until then nothing at all may be stopped. */
  readonly isKnown: boolean
  pod(uid: string): Pod | undefined
  pods(): readonly Pod[]
  configMap(namespace: string, name: string): ConfigMap | undefined
  secret(namespace: string, name: string): Secret | undefined
  /**
   * The control plane said that this pod is gone: in an increment, or by leaving it out of a complete set that is not
   * older than what was seen before (also a pod of which nothing was on disk yet when the agent died). A pod that is
   * neither here nor removed is a stranger: left alone and reported.
   */
  isRemoved(uid: string): boolean
  /** It goes on running although a restored or unknown control plane did not list it. */
  isKept(uid: string): boolean
  /** This node has lost its memory: the strangers found here must be spared before any set counts as complete. */
  readonly mustSpare: boolean
  /** These go on running until the control plane names them. */
  spare(uids: readonly string[]): void
  /** Nothing of the pod is left on this node: forget that it was removed. */
  forget(uid: string): void
  /** Calls with the UIDs of pods that changed, also by a change of a config they use. */
  subscribe(listener: (uids: readonly string[]) => void): Disposable
}

/** Where the pods' workers tell what they see. Never blocks; the newest status overwrites the unsent one. */
export interface Reporter {
  /** `terminated`: every container is gone and the volumes are cleaned up. */
  status(pod: Pod, status: PodStatus, terminated: boolean): void
  event(pod: Pod, event: PodEvent): void
}

export interface PodEvent {
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
  /** As in `spec.containers{web}`. */
  readonly fieldPath?: string
}

/** A pod's sandbox as the pod's worker sees it. */
export interface Sandbox {
  readonly containerId: string
  readonly ip: string
  /** It was prepared ahead, so containers in it get another host name than this one, and need a gate. */
  readonly hostname?: string
}

export interface EnsureOptions extends AbortOptions {
  /**
   * Told which sandbox it will most likely be, while that is still being taken: a container can be made for it
   * meanwhile, and must not be started before `ensure` has given the same.
   */
  expected?(sandbox: Sandbox): void
}

export interface FoundSandbox extends Sandbox {
  /** What the engine says of its container, where that was just asked. */
  readonly state?: ContainerState
}

/**
 * Makes and finds sandboxes: container, address, wiring. Some may have been prepared ahead. With
 * `hostNetwork` the sandbox has the node's own address and no wiring.
 */
export interface Sandboxes {
  /** The pod's running sandbox, made or repaired as needed. Idempotent. `seen` is what the engine says about the pod. */
  ensure(pod: Pod, seen: readonly ContainerState[], opts: EnsureOptions): Promise<FoundSandbox>
  /** Unwires and removes. Gone is fine. */
  remove(podUid: string, seen: readonly ContainerState[], opts: AbortOptions): Promise<void>
  /** What the engine says of all containers, from time to time. */
  noticed(all: readonly ContainerState[]): void
  /** The program on the host that stands at a container's gate. */
  gate(opts: AbortOptions): Promise<string>
  /**
   * Gives a container with a gate that was started just now its host name, without waiting for what the engine says of
   * it. False where that cannot be done: then `open` does it.
   */
  nameEarly(containerId: string, hostname: string, opts: AbortOptions): Promise<boolean>
  /**
   * Lets the command of a running container with a gate begin. False: the gate could not become the command, and the
   * container is to be made again without one, so that the engine says why. `isNamed`: it has its host name already.
   */
  open(state: ContainerState, hostname: string, opts: AbortOptions & { readonly isNamed: boolean }): Promise<boolean>
}

/** Turns the pod's volumes into folders on the host, and keeps configMap and secret volumes up to date. */
export interface Volumes {
  /** Host paths by volume name. Throws VolumeError that says which ConfigMap, Secret or path is missing. */
  prepare(pod: Pod, desired: DesiredState, opts: AbortOptions): Promise<ReadonlyMap<string, string>>
  /** Writes changed ConfigMaps and Secrets into running pods, by an atomic swap. */
  refresh(pod: Pod, desired: DesiredState, opts: AbortOptions): Promise<void>
  cleanUp(podUid: string, opts: AbortOptions): Promise<void>
  /** UIDs of pods with folders here. */
  known(opts: AbortOptions): Promise<readonly string[]>
}

/** Facts of the node that pods' environments and statuses name. */
export interface NodeFacts {
  readonly name: string
  readonly ip: string
  readonly cpuMilli: number
  readonly memoryBytes: number
}
