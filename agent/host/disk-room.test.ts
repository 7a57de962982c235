import { expect, test } from 'vitest'
import { type DiskFacts, DiskRoom } from './disk-room.ts'

const mib = 1024 ** 2
const disk = (sizeMib: number, freeMib: number, more: Partial<DiskFacts> = {}): DiskFacts => ({
  bsize: mib,
  blocks: sizeMib,
  bavail: freeMib,
  files: 1_000_000,
  ffree: 900_000,
  ...more,
})

test.each([
  ['a tenth is enough', disk(1000, 100), false],
  ['less than a tenth is not', disk(1000, 99), true],
  ['5 GiB are enough on any disk', disk(1_000_000, 5 * 1024), false],
  ['less than 5 GiB of a large disk are not', disk(1_000_000, 5 * 1024 - 1), true],
  ['few inodes', disk(1000, 900, { files: 10_000, ffree: 499 }), true],
  ['a file system that does not count inodes', disk(1000, 900, { files: 0, ffree: 0 }), false],
])('%s', async (_, facts, isTrouble) => {
  expect((await new DiskRoom(async () => facts).trouble(['/x'])) !== undefined).toBe(isTrouble)
})

test('a disk that was full has to get a fifth emptier before it is well again', async () => {
  let free = 99
  const room = new DiskRoom(async () => disk(1000, free))
  expect(await room.trouble(['/x'])).toBe('the disk of "/x" has 99 MiB left (9 %): no new pods until there is room')
  free = 119
  expect(await room.trouble(['/x'])).toBeDefined()
  free = 120
  expect(await room.trouble(['/x'])).toBeUndefined()
  free = 101
  expect(await room.trouble(['/x'])).toBeUndefined()
})

test('the first of several that is full is told, and one that cannot be read is not', async () => {
  const room = new DiskRoom(async (folder) => {
    if (folder === '/gone') throw new Error('ENOENT')
    return disk(1000, folder === '/full' ? 1 : 900)
  })
  expect(await room.trouble(['/gone', '/well', '/full'])).toContain('"/full"')
  expect(await room.trouble(['/gone', '/well'])).toBeUndefined()
})
