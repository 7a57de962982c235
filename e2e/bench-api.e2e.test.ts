import { execFile } from 'node:child_process'
import process from 'node:process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { root } from './machine.ts'

// No figure is looked at: how fast the machine is today says nothing about the code.
test('bench/api runs at its small size and gives every row', { timeout: 180_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['bench/api.ts', '--small'], { cwd: root })
  const rows = stdout.split('\n').filter((line) => /^\S.*\d/.test(line) && !line.startsWith('what'))
  const names = [
    ['create, ConfigMap', 'create, Pod of 3.5 KB', 'GET, ConfigMap', 'GET, Pod', 'update, ConfigMap', 'update, Pod'],
    ['list of 100 pods, JSON', 'list of 100 pods, Table'],
    ['update, 10 watches of all', 'update, 20 watches of all', 'update, 20 watches of one name each'],
    ['etcd: create, 3.5 KB', 'etcd: get, 3.5 KB'],
    ['bare server: POST, 3.5 KB', 'bare server: GET, ConfigMap', 'bare server: GET, Pod'],
    ['bare server: GET, the list of 100 pods', 'bare server: 10 watches', 'bare server: 20 watches'],
  ].flat()
  for (const name of names)
    expect(
      rows.filter((line) => line.startsWith(name)),
      stdout,
    ).toHaveLength(1)
  expect(rows).toHaveLength(names.length)
  expect(stdout).not.toContain('NaN')
})
