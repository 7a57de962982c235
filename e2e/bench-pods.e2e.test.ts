import { execFile } from 'node:child_process'
import process from 'node:process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { root } from './machine.ts'

// No figure is looked at: how fast the machine is today says nothing about the code.
test('bench/pods runs at its small size and gives every row', { timeout: 180_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['bench/pods.ts', '--small'], { cwd: root })
  const names = stdout.split('\n').flatMap((line) => /^(\S.*?) {2,}\d/.exec(line)?.[1] ?? [])
  expect(names, stdout).toEqual([
    'docker run -d',
    'pod, apply to Ready',
    'docker rm -f',
    'pod, delete to container gone',
    'pod, delete to object gone',
    '3 × docker run -d, one after the other',
    '3 × docker run -d, four at a time',
    'each of them, 3 × docker run -d, four at a time',
    '0 to 3 ready, 4 sandboxes prepared',
    'each of them, 0 to 3 ready, 4 sandboxes prepared',
  ])
  expect(stdout).not.toContain('NaN')
})
