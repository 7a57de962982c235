import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { tar } from './tar.ts'

const entries = [
  { type: 'folder' as const, path: 'bin', mode: 0o755 },
  { type: 'file' as const, path: 'bin/a', data: Buffer.from('x'.repeat(513)), mode: 0o555 },
  { type: 'link' as const, path: 'bin/b', target: 'a' },
]

test('tar reads what was written', () => {
  const { stdout, stderr } = spawnSync('tar', ['--utc', '-tvf', '-'], { input: tar(entries), encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(stdout.split('\n').map((line) => line.replace(/\s+/g, ' '))).toEqual([
    'drwxr-xr-x 0/0 0 1970-01-01 00:00 bin',
    '-r-xr-xr-x 0/0 513 1970-01-01 00:00 bin/a',
    'lrwxrwxrwx 0/0 0 1970-01-01 00:00 bin/b -> a',
    '',
  ])
})

test('the same entries give the same bytes', () => {
  expect(Buffer.from(tar(entries)).equals(Buffer.from(tar(entries)))).toBe(true)
})

test('a path that does not fit is refused', () => {
  expect(() => tar([{ type: 'folder', path: 'a'.repeat(101), mode: 0o755 }])).toThrow('too long')
})
