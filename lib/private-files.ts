import { chmod, link, lstat, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Log } from './log.ts'
import { systemRandom } from './random.ts'

/** A private folder, also when it was there with wider rights. */
export async function privateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  await chmod(path, 0o700)
}

/** The text of a file; undefined when there is none or it is empty, as a crash of the machine can leave it. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    const text = await readFile(path, 'utf8')
    return text === '' ? undefined : text
  } catch (err) {
    if (hasCode(err, 'ENOENT')) return undefined
    throw err
  }
}

/** Replaces the file as a whole: after a crash it holds the old text or the new one. */
export async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  const part = await writePart(path, text, mode)
  await rename(part, path)
  await syncFolder(dirname(path))
}

/** Creates the file as a whole. Returns false, and changes nothing, when somebody has created it meanwhile. */
export async function createWhole(path: string, text: string, mode: number): Promise<boolean> {
  // A disk that is full has no room for the draft of what is there already.
  if (await isThere(path)) return false
  const part = await writePart(path, text, mode)
  try {
    await link(part, path)
    await syncFolder(dirname(path))
    return true
  } catch (err) {
    if (hasCode(err, 'EEXIST')) return false
    throw err
  } finally {
    await rm(part, { force: true })
  }
}

/** Takes from others what they could do with a secret file, and says so. */
export async function keepPrivate(path: string, log: Log): Promise<void> {
  const { mode } = await stat(path)
  if ((mode & 0o077) === 0) return
  log.warn('others could read a private file; its rights were narrowed', { file: path, mode: (mode & 0o777).toString(8) })
  await chmod(path, 0o600)
}

async function writePart(path: string, text: string, mode: number): Promise<string> {
  const suffix = Buffer.from(systemRandom.bytes(6)).toString('hex')
  const part = join(dirname(path), `.${basename(path)}.${suffix}`)
  try {
    await using file = await open(part, 'wx', mode)
    await file.writeFile(text)
    await file.sync()
    return part
  } catch (err) {
    await rm(part, { force: true })
    throw err
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (err) {
    if (hasCode(err, 'ENOENT')) return false
    throw err
  }
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}

const hasCode = (err: unknown, code: string): boolean => err instanceof Error && 'code' in err && err.code === code
