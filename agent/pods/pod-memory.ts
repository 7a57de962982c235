import type { Sandbox } from '../contracts.ts'
import type { Activity, Memory, ReadyImage, Stop, Wait } from './view.ts'

/** The worker's own copy of what it has learnt. Lost with the agent, and made anew from the engine (law 6). */
export class PodMemory implements Memory {
  sandbox: Sandbox | undefined
  volumePaths: ReadonlyMap<string, string> | undefined
  readonly images = new Map<string, ReadyImage>()
  readonly waits = new Map<string, Wait>()
  readonly activities = new Map<string, Activity>()
  readonly postStart = new Map<string, 'pending' | 'done' | 'failed'>()
  /** Containers with a gate whose commands have begun. */
  readonly opened = new Set<string>()
  /** Containers with a gate that have their host names, so that there is nothing left to do but to see them begin. */
  readonly named = new Set<string>()
  readonly shut = new Set<string>()
  /** Containers of the spec to be made without a gate, since the engine has to say what is wrong with their commands. */
  readonly ungated = new Set<string>()
  unhealthy: Memory['unhealthy'] = new Map()
  stop: Stop | undefined
  sandboxRemoved = false
  volumesCleaned = false

  get volumesReady(): boolean {
    return this.volumePaths !== undefined
  }

  /** Forgets what is known of containers that are gone. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const known of [this.postStart, this.opened, this.named, this.shut])
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
  }

  /** What failed because of the pod's own configuration is tried again at once: the configuration has changed. */
  dropConfigWaits(): void {
    for (const key of this.waits.keys()) if (key === 'volumes' || key.startsWith('container/')) this.waits.delete(key)
  }

  /** The soonest time at which something shown changes by itself. */
  nextTurnMs(nowMs: number): number | undefined {
    let soonest: number | undefined
    for (const { untilMs, then } of this.waits.values()) {
      for (const atMs of [untilMs, then?.atMs ?? 0])
        if (atMs > nowMs && atMs < (soonest ?? Number.POSITIVE_INFINITY)) soonest = atMs
    }
    return soonest
  }
}
