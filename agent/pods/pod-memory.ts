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
  unhealthy: Memory['unhealthy'] = new Map()
  stop: Stop | undefined
  sandboxRemoved = false
  volumesCleaned = false

  get volumesReady(): boolean {
    return this.volumePaths !== undefined
  }

  /** Forgets what is known of containers that are gone. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.postStart.keys()) if (!ids.has(id)) this.postStart.delete(id)
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
