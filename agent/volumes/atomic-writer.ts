import { closeSync, fchmodSync, mkdirSync, openSync } from 'node:fs'
import { chmod, chown, mkdir, open, readdir, readFile, readlink, rename, rm, stat, symlink, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { AbortOptions } from '../../lib/async.ts'
import type { Payload } from './payload.ts'

const dataLink = '..data'
const newDataLink = '..data_tmp'

export interface WriteOptions extends AbortOptions {
  /** Unique among versions of this volume. */
  readonly version: string
  /** Group that is to read the files, of fsGroup. */
  readonly group: number | undefined
}

/**
 * Makes `folder` show exactly the payload. All files change at once for readers: a new version is written beside the
 * old one, and one rename of the link `..data` switches over. Gives whether anything changed.
 */
export async function writeAtomically(folder: string, payload: Payload, options: WriteOptions): Promise<boolean> {
  await mkdir(folder, { recursive: true, mode: 0o755 })
  const old = await currentVersion(folder)
  if (old !== undefined && (await isSame(join(folder, old), payload, options))) {
    await linkNames(folder, payload)
    return false
  }
  options.signal.throwIfAborted()
  const version = `..${options.version}`
  await writeVersion(join(folder, version), payload, options)
  await rm(join(folder, newDataLink), { force: true })
  await symlink(version, join(folder, newDataLink))
  await rename(join(folder, newDataLink), join(folder, dataLink))
  await linkNames(folder, payload)
  await removeOldVersions(folder, version)
  return true
}

async function currentVersion(folder: string): Promise<string | undefined> {
  const target = await readlink(join(folder, dataLink)).catch(absent)
  return target?.startsWith('..') === true && !target.includes('/') ? target : undefined
}

async function isSame(folder: string, payload: Payload, { signal, group }: WriteOptions): Promise<boolean> {
  const there = await filesIn(folder)
  if (there === undefined || there.length !== payload.size) return false
  for (const [path, { data, mode }] of payload) {
    signal.throwIfAborted()
    const file = join(folder, path)
    const info = await stat(file).catch(absent)
    if (info === undefined || !info.isFile() || (info.mode & 0o777) !== fileMode(mode, group)) return false
    if (group !== undefined && info.gid !== group) return false
    if (info.size !== data.length || !(await readFile(file)).equals(data)) return false
  }
  return true
}

async function filesIn(folder: string): Promise<readonly string[] | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(absent)
  return entries?.filter((entry) => !entry.isDirectory()).map((entry) => entry.name)
}

async function writeVersion(folder: string, payload: Payload, { group, signal }: WriteOptions): Promise<void> {
  await makeFolder(folder, group)
  for (const [path, { data, mode }] of payload) {
    signal.throwIfAborted()
    const parts = path.split('/').slice(0, -1)
    for (const [index] of parts.entries()) await makeFolder(join(folder, ...parts.slice(0, index + 1)), group)
    const file = await open(join(folder, path), 'wx', 0o600)
    try {
      await file.writeFile(data)
      if (group !== undefined) await file.chown(-1, group)
      await file.chmod(fileMode(mode, group))
    } finally {
      await file.close()
    }
  }
}

/** With fsGroup its group may read (Kubernetes does the same). */
const fileMode = (mode: number, group: number | undefined): number => (group === undefined ? mode : mode | 0o440) & 0o777

async function makeFolder(folder: string, group: number | undefined): Promise<void> {
  const made = await mkdir(folder).then(
    () => true,
    (err: unknown) => {
      if (isCode(err, 'EEXIST')) return false
      throw err
    },
  )
  if (!made) return
  if (group !== undefined) await chown(folder, -1, group)
  await chmod(folder, group === undefined ? 0o755 : 0o2775)
}

/** One link per name at the top, `key` → `..data/key`; those of names that are gone are taken away. */
async function linkNames(folder: string, payload: Payload): Promise<void> {
  const wanted = new Set([...payload.keys()].map((path) => path.split('/', 1)[0] ?? ''))
  for (const name of await readdir(folder)) {
    if (name.startsWith('..') || wanted.delete(name)) continue
    await rm(join(folder, name), { recursive: true, force: true })
  }
  for (const name of wanted) await symlink(join(dataLink, name), join(folder, name))
}

async function removeOldVersions(folder: string, current: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith('..') || name === current || name === dataLink) continue
    if (name === newDataLink) await unlink(join(folder, name))
    else await rm(join(folder, name), { recursive: true, force: true })
  }
}

export function isCode(err: unknown, ...codes: readonly string[]): boolean {
  return err instanceof Error && 'code' in err && typeof err.code === 'string' && codes.includes(err.code)
}

/** For a catch: what is not there is undefined. */
export function absent(err: unknown): undefined {
  if (isCode(err, 'ENOENT', 'ENOTDIR', 'EINVAL')) return undefined
  throw err
}

/**
 * Makes a file with its folder; one that is there already is left as it is. Synchronously: the kernel does that in
 * memory, in less time than a way through the pool of threads takes.
 */
export function touch(path: string, mode: number): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  const file = openSync(path, 'a', mode)
  try {
    fchmodSync(file, mode)
  } finally {
    closeSync(file)
  }
}
