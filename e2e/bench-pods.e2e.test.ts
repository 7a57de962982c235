import { execFile } from 'node:child_process'
import process from 'node:process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { root } from './machine.ts'

const bench = async (name: string): Promise<string> =>
  (await promisify(execFile)(process.execPath, [`bench/${name}.ts`, '--small'], { cwd: root })).stdout

// No figure is held against an aim: how fast the machine is today says nothing about the code.
test('bench/pods runs at its small size and gives every row', { timeout: 180_000 }, async () => {
  const stdout = await bench('pods')
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

test('bench/footprint runs at its small size and finds every program', { timeout: 180_000 }, async () => {
  const stdout = await bench('footprint')
  const rows = stdout.trim().split('\n')
  const row = /^(\S+) +RSS +(\d+) MiB +PSS +(\d+) MiB +\d+\.\d\d % of a core$/
  const read = rows.map((line) => row.exec(line) ?? []).map(([, name, rss, pss]) => [name, Number(rss), Number(pss)] as const)
  const names = read.map(([name]) => name)
  expect(names.slice(0, 4), stdout).toEqual(['agent', 'controlplane', 'etcd', 'all'])
  expect(names).toContain('dockerd')
  for (const [, rss, pss] of read) expect(rss, stdout).toBeGreaterThanOrEqual(pss)
  const [agent = 0, controlPlane = 0, etcd = 0, all = 0] = read.map(([, rss]) => rss)
  expect(Math.abs(all - agent - controlPlane - etcd), stdout).toBeLessThanOrEqual(2) // Rounded each.
})
