import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, realpath, stat } from 'node:fs/promises'
import { relative } from 'node:path'
import process from 'node:process'
import type { AbortOptions } from '../../lib/async.ts'
import { absent, isCode, touch } from './atomic-writer.ts'
import { relativeParts } from './folders.ts'
import type { Mounter } from './mounts.ts'

/** Linux' O_PATH: a handle on the place itself, whatever lies there. Node has no name for it. */
const onlyPath = 0o10000000

/**
 * Makes a sub path of a volume available at `target` by a bind mount of an opened handle: what the container swaps in the
 * volume meanwhile, such as a link to the host's root, can no longer change where the mount leads. Missing folders are
 * made. Throws when the path leaves the volume.
 */
export async function bindSubPath(
  { volumePath, subPath, target }: { readonly volumePath: string; readonly subPath: string; readonly target: string },
  mounter: Mounter,
  opts: AbortOptions,
): Promise<string> {
  const parts = relativeParts(subPath)
  if (parts === undefined) throw new Error(`subPath "${subPath}" must be relative and free of ".."`)
  const root = await realpath(volumePath)
  const inside = await resolveInside(root, parts, subPath)
  await using handle = await openInside(root, inside, subPath)
  for (const point of await mounter.below(target, opts)) await mounter.unmount(point, opts)
  if ((await handle.stat()).isDirectory()) await mkdir(target, { recursive: true, mode: 0o755 })
  else touch(target, 0o644)
  await mounter.bind(`/proc/${process.pid}/fd/${handle.fd}`, target, opts)
  return target
}

/** Where links inside the volume lead, as parts below the root; what does not exist yet is taken literally. */
async function resolveInside(root: string, parts: readonly string[], subPath: string): Promise<readonly string[]> {
  for (let count = parts.length; count > 0; count--) {
    const there = await realpath([root, ...parts.slice(0, count)].join('/')).catch(absent)
    if (there === undefined) continue
    const below = relative(root, there)
    if (below === '..' || below.startsWith('../')) throw new Error(`subPath "${subPath}" leads out of its volume`)
    return [...below.split('/').filter((part) => part !== ''), ...parts.slice(count)]
  }
  return parts
}

/** Opens part by part without following any link, so nothing can be swapped underway. */
async function openInside(root: string, parts: readonly string[], subPath: string): Promise<FileHandle> {
  let handle = await open(root, onlyPath | constants.O_DIRECTORY)
  for (const part of parts) {
    const place = `/proc/self/fd/${handle.fd}/${part}`
    try {
      if ((await stat(place).catch(absent)) === undefined) await mkdir(place, { mode: 0o755 }).catch(ignoreExisting)
      const next = await open(place, onlyPath | constants.O_NOFOLLOW)
      await handle.close()
      handle = next
      if ((await handle.stat()).isSymbolicLink()) throw new Error(`subPath "${subPath}" has changed while it was opened`)
    } catch (err) {
      await handle.close()
      throw err
    }
  }
  return handle
}

function ignoreExisting(err: unknown): void {
  if (!isCode(err, 'EEXIST')) throw err
}
