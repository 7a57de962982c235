import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hostMounter, mountPointsBelow } from './mounts.ts'
import { bindSubPath } from './sub-path.ts'

const opts = { signal: new AbortController().signal }

test('mount points below a folder come deepest first, and a neighbour of like name does not', () => {
  const line = (point: string): string => `36 35 98:0 / ${point} rw,noatime shared:1 - ext4 /dev/sda rw`
  const table = [line('/'), line('/pods/a'), line('/pods/a/v/x'), line('/pods/ab'), line('/pods/a/with\\040blank')].join('\n')
  expect(mountPointsBelow(table, '/pods/a')).toEqual(['/pods/a/v/x', '/pods/a/with blank', '/pods/a'])
})

/** Mounting takes rights that not every machine gives. */
async function canMount(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-can-mount-'))
  try {
    await hostMounter.tmpfs(folder, { sizeBytes: 65_536, mode: 0o700 }, opts)
    await hostMounter.unmount(folder, opts)
    return true
  } catch {
    return false
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('a sub path is mounted as it was when it was checked', async ({ skip }) => {
  if (!(await canMount())) skip('this machine allows no mounts')
  const folder = await mkdtemp(join(tmpdir(), 'skiff-sub-path-'))
  const target = join(folder, 'target')
  try {
    await mkdir(join(folder, 'volume/data'), { recursive: true })
    await writeFile(join(folder, 'volume/data/file'), 'inside')
    await bindSubPath({ volumePath: join(folder, 'volume'), subPath: 'data', target }, hostMounter, opts)
    expect(await readFile(join(target, 'file'), 'utf8')).toBe('inside')
    await bindSubPath(
      { volumePath: join(folder, 'volume'), subPath: 'data/file', target: join(folder, 'one') },
      hostMounter,
      opts,
    )
    expect(await readFile(join(folder, 'one'), 'utf8')).toBe('inside')
  } finally {
    for (const point of await hostMounter.below(folder, opts)) await hostMounter.unmount(point, opts)
    await rm(folder, { recursive: true })
  }
})
