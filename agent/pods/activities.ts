import { isAbort } from '../../lib/async.ts'
import type { Activity } from './view.ts'

export interface ActivitiesOptions {
  readonly shown: Map<string, Activity>
  /** Called when one ended, whatever its outcome. */
  ended(activity: Activity): void
  failed(container: string, err: unknown): void
}

/** What goes on beside a pod's worker: at most one activity per container; a new one ends the one before. */
export class Activities {
  readonly #options: ActivitiesOptions
  readonly #running = new Map<string, AbortController>()
  readonly #all = new Set<Promise<void>>()
  /** The newest of each container, also when it has ended. */
  readonly #newest = new Map<string, Promise<void>>()

  constructor(options: ActivitiesOptions) {
    this.#options = options
  }

  begin(container: string, activity: Activity, signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): void {
    this.cancel(container)
    const controller = new AbortController()
    this.#running.set(container, controller)
    this.#options.shown.set(container, activity)
    const stop = (): void => controller.abort(signal.reason)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
    const run = async (): Promise<void> => {
      try {
        await work(controller.signal)
      } catch (err) {
        if (!isAbort(err, controller.signal)) this.#options.failed(container, err)
      } finally {
        signal.removeEventListener('abort', stop)
        this.#end(container, controller)
        this.#options.ended(activity)
      }
    }
    const done = run()
    this.#all.add(done)
    this.#newest.set(container, done)
    void done.finally(() => this.#all.delete(done)) // `run` never rejects.
  }

  cancel(container: string): void {
    const controller = this.#running.get(container)
    if (controller === undefined) return
    this.#running.delete(container)
    this.#options.shown.delete(container)
    controller.abort(new Cancelled('something more urgent came'))
  }

  /** Ends those of the given kinds: a pod that stops needs no image. */
  cancelKinds(kinds: readonly Activity['kind'][]): void {
    for (const [container, { kind }] of [...this.#options.shown]) if (kinds.includes(kind)) this.cancel(container)
  }

  /** Resolves when the container's newest activity has ended, at once where there is none. */
  async ended(container: string): Promise<void> {
    await this.#newest.get(container)
  }

  /** Resolves when all have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#all)
  }

  #end(container: string, controller: AbortController): void {
    if (this.#running.get(container) === controller) {
      this.#running.delete(container)
      this.#options.shown.delete(container)
    }
  }
}

class Cancelled extends Error {
  override readonly name = 'AbortError'
}
