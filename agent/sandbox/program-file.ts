import { createHash } from 'node:crypto'
import { chmod, mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A small program that lies on the host, under a name that changes with its bytes. */
export class ProgramFile {
  readonly path: string
  readonly #folder: string
  readonly #bytes: Uint8Array
  /** By one for all who ask at the same time. */
  #writing: Promise<void> | undefined

  constructor(folder: string, name: string, bytes: Uint8Array) {
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12)
    this.path = join(folder, `${name}-${hash}`)
    this.#folder = folder
    this.#bytes = bytes
  }

  /** Makes it anew when somebody has removed it. */
  async ensure(): Promise<void> {
    const found = await stat(this.path).catch(() => undefined)
    if (found?.size === this.#bytes.length) return
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    await this.#writing
  }

  async #write(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    const draft = `${this.path}.new`
    await writeFile(draft, this.#bytes)
    await chmod(draft, 0o555)
    await rename(draft, this.path)
  }
}
