import type { Stats } from 'node:fs'
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises'
import type { Volume } from '../pods/pod-types.ts'
import { absent } from './atomic-writer.ts'

type HostPath = NonNullable<Volume['hostPath']>

const checks: Readonly<Record<string, { readonly what: string; holds(info: Stats): boolean }>> = {
  Directory: { what: 'a directory', holds: (info) => info.isDirectory() },
  DirectoryOrCreate: { what: 'a directory', holds: (info) => info.isDirectory() },
  File: { what: 'a file', holds: (info) => info.isFile() },
  FileOrCreate: { what: 'a file', holds: (info) => info.isFile() },
  Socket: { what: 'a socket file', holds: (info) => info.isSocket() },
  CharDevice: { what: 'a character device', holds: (info) => info.isCharacterDevice() },
  BlockDevice: { what: 'a block device', holds: (info) => info.isBlockDevice() },
}

/** Checks the path against its type, makes it where the type says so, and gives it. Throws with what is wrong. */
export async function prepareHostPath({ path, type = '' }: HostPath): Promise<string> {
  if (!path.startsWith('/') || path.split('/').includes('..'))
    throw new Error(`host path "${path}" must be absolute and free of ".."`)
  let info = await stat(path).catch(absent)
  if (info === undefined) {
    await make(path, type)
    info = await stat(path)
  }
  const check = checks[type]
  if (check !== undefined && !check.holds(info)) throw new Error(`hostPath type check failed: ${path} is not ${check.what}`)
  return path
}

/** Without a type a missing path becomes a folder, as container engines have it. */
async function make(path: string, type: string): Promise<void> {
  if (type === '' || type === 'DirectoryOrCreate') {
    await mkdir(path, { recursive: true, mode: 0o755 })
    return
  }
  if (type !== 'FileOrCreate') {
    const what = checks[type]?.what ?? type
    throw new Error(`hostPath type check failed: ${path} is not ${what}`)
  }
  await using file: FileHandle = await open(path, 'a', 0o644)
  await file.sync()
}
