import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface LoadedFiles {
  /** Text by name, as in `pods/<uid>`. */
  readonly files: ReadonlyMap<string, string>
  /** Names of files that are there but cannot be trusted, each with the reason. */
  readonly damaged: readonly string[]
}

/** Where the checkpoint's files are kept. */
export interface CheckpointFiles {
  load(): Promise<LoadedFiles>
  write(name: string, text: string): Promise<void>
  /** Gone is fine. */
  remove(name: string): Promise<void>
}

/**
 * Small named texts on disk that survive a crash at any moment: a file is either the old one or the new one in full, and
 * a flipped bit is noticed by the checksum in its first line. Readable by the owner only: Secrets are among them.
 */
export class CheckpointFolder implements CheckpointFiles {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async load(): Promise<LoadedFiles> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 })
    const files = new Map<string, string>()
    const damaged: string[] = []
    for (const entry of await readdir(this.#root, { withFileTypes: true, recursive: true })) {
      if (entry.isDirectory()) continue
      const path = join(entry.parentPath, entry.name)
      const name = path.slice(this.#root.length + 1)
      // What a crash left of a write that did not come to its rename.
      if (!entry.isFile() || name.endsWith('.tmp')) await rm(path, { force: true })
      else
        await readChecked(path)
          .then((text) => files.set(name, text))
          .catch((err) => damaged.push(`${name}: ${String(err)}`))
    }
    return { files, damaged }
  }

  async write(name: string, text: string): Promise<void> {
    const path = join(this.#root, name)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const file = await open(`${path}.tmp`, 'w', 0o600)
    try {
      await file.writeFile(`${checksum(text)}\n${text}`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(`${path}.tmp`, path)
    await syncFolder(dirname(path))
  }

  /** Gone is fine. */
  async remove(name: string): Promise<void> {
    await rm(join(this.#root, name), { force: true })
  }
}

async function readChecked(path: string): Promise<string> {
  const content = await readFile(path, 'utf8')
  const end = content.indexOf('\n')
  const text = content.slice(end + 1)
  if (end < 0 || content.slice(0, end) !== checksum(text)) throw new Error('the checksum does not match')
  return text
}

/** Makes the rename itself durable. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

const checksum = (text: string): string => createHash('sha256').update(text).digest('hex')
