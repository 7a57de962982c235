import { aborted, isAbort } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import type { Service } from '../../lib/service.ts'
import { Slots } from '../../lib/slots.ts'
import type { ProbeListener, Probes, ProbeTarget } from '../pods/deps.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { ContainerProber } from './container-prober.ts'

export interface ProbesDeps {
  readonly runtime: Pick<Runtime, 'exec' | 'info'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Checks of the whole node at a time. */
  readonly checksAtOnce?: number
}

/** Probes containers from the moment they are named in `sync`. Its `run` only ends them all when aborted. */
export function createProbes(deps: ProbesDeps): Probes & Service {
  return new NodeProbes(deps)
}

interface Running {
  readonly prober: ContainerProber
  readonly controller: AbortController
  readonly ended: Promise<void>
}

class Replaced extends Error {
  override readonly name = 'AbortError'
}

class NodeProbes implements Probes, Service {
  readonly name = 'probes'
  readonly #deps: ProbesDeps
  readonly #slots: Slots
  readonly #pods = new Map<string, Map<string, Running>>()
  readonly #listeners = new Set<ProbeListener>()
  readonly #sinceMs: number
  #hasEnded = false

  constructor(deps: ProbesDeps) {
    this.#deps = deps
    this.#sinceMs = deps.clock.monotonicMs()
    this.#slots = new Slots(deps.checksAtOnce ?? 32)
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#hasEnded = false
    await aborted(signal)
    this.#hasEnded = true
    const all = [...this.#pods.values()].flatMap((containers) => [...containers.values()])
    this.#pods.clear()
    for (const { controller } of all) controller.abort(signal.reason)
    await Promise.all(all.map(({ ended }) => ended))
  }

  sync(podUid: string, targets: readonly ProbeTarget[]): void {
    const known = this.#pods.get(podUid) ?? new Map<string, Running>()
    const wanted = new Map(targets.map((target) => [target.containerId, target]))
    for (const [id, { controller }] of known) {
      if (wanted.has(id)) continue
      known.delete(id)
      controller.abort(new Replaced('the container is no longer probed'))
    }
    for (const [id, target] of wanted) {
      const running = known.get(id)
      if (running === undefined) this.#start(podUid, known, target)
      else running.prober.target = target
    }
    if (known.size === 0) this.#pods.delete(podUid)
    else this.#pods.set(podUid, known)
  }

  isStarted(podUid: string, containerId: string): boolean {
    return this.#prober(podUid, containerId)?.isStarted === true
  }

  isReady(podUid: string, containerId: string): boolean {
    return this.#prober(podUid, containerId)?.isReady === true
  }

  unhealthy(podUid: string, containerId: string): ReturnType<Probes['unhealthy']> {
    return this.#prober(podUid, containerId)?.unhealthy
  }

  isAwaited(podUid: string): boolean {
    return [...(this.#pods.get(podUid)?.values() ?? [])].some(({ prober }) => prober.isAwaited)
  }

  subscribe(listener: ProbeListener): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  #prober(podUid: string, containerId: string): ContainerProber | undefined {
    return this.#pods.get(podUid)?.get(containerId)?.prober
  }

  #start(podUid: string, known: Map<string, Running>, target: ProbeTarget): void {
    if (this.#hasEnded) return
    const controller = new AbortController()
    const prober = new ContainerProber(target, {
      ...this.#deps,
      slots: this.#slots,
      sinceMs: this.#sinceMs,
      changed: () => this.#tell((listener) => listener.changed(podUid)),
      failed: (message) => this.#tell((listener) => listener.failed(podUid, target.container, message)),
    })
    const ended = prober.run(controller.signal).catch((err: unknown) => {
      if (!isAbort(err, controller.signal)) this.#deps.log.error('a prober ended', { podUid, container: target.container, err })
    })
    known.set(target.containerId, { prober, controller, ended })
  }

  #tell(say: (listener: ProbeListener) => void): void {
    for (const listener of this.#listeners) say(listener)
  }
}
