import { sleep } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { readIfThere, writeWhole } from '../../lib/private-files.ts'
import type { Service } from '../../lib/service.ts'

const everyMs = 5_000

/** Remembers outside the store how far it had come: a store that is behind that was set back. */
export class RevisionMemory implements Service {
  readonly name = 'revision memory'
  readonly #file: string
  readonly #revision: () => number
  readonly #clock: Clock
  readonly #log: Log
  #highest: number
  #written: number

  private constructor(options: { file: string; revision: () => number; clock: Clock; log: Log }, highest: number) {
    this.#file = options.file
    this.#revision = options.revision
    this.#clock = options.clock
    this.#log = options.log
    this.#highest = highest
    this.#written = highest
  }

  /** `revision`: how far the store has come as far as we know; 0 when we do not. A damaged file counts as none. */
  static async open(options: { file: string; revision: () => number; clock: Clock; log: Log }): Promise<RevisionMemory> {
    const text = (await readIfThere(options.file))?.trim() ?? ''
    if (text !== '' && !/^\d{1,15}$/.test(text)) options.log.warn('a damaged file is ignored', { file: options.file })
    return new RevisionMemory(options, /^\d{1,15}$/.test(text) ? Number(text) : 0)
  }

  get highest(): number {
    return this.#highest
  }

  /** The store was set back, and that has been dealt with. */
  restart(revision: number): void {
    this.#highest = revision
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#highest = Math.max(this.#highest, this.#revision())
      await this.#write()
      await sleep(this.#clock, everyMs, signal).catch(() => undefined) // Aborted: the loop ends.
    }
    this.#highest = Math.max(this.#highest, this.#revision())
    await this.#write()
  }

  async #write(): Promise<void> {
    const revision = this.#highest
    if (revision === this.#written) return
    try {
      await writeWhole(this.#file, `${revision}\n`, 0o600)
      this.#written = revision
    } catch (err) {
      this.#log.warn('cannot remember how far the store has come', { file: this.#file, err })
    }
  }
}
