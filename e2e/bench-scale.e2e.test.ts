import { execFile } from 'node:child_process'
import process from 'node:process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { root } from './machine.ts'

// No figure is looked at: how fast the machine is today says nothing about the code. The programs check themselves that
// every pod is bound, or ready, exactly once.
test.each<[string, readonly string[]]>([
  ['bench/scheduler.ts', ['100 pods bound, 20 nodes', 'etcd alone, 32 writers']],
  ['bench/scale.ts', ['10 nodes joined', '1 s without a change', '0 to 60 pods ready', '1 s with 60 pods']],
])('%s runs at its small size and gives every row', { timeout: 180_000 }, async (program, names) => {
  const { stdout } = await promisify(execFile)(process.execPath, [program, '--small'], { cwd: root })
  const rows = stdout.split('\n').filter((line) => /^\S.*\d/.test(line) && !line.startsWith('what'))
  expect(rows, stdout).toHaveLength(names.length)
  for (const [index, name] of names.entries()) expect(rows[index]).toContain(name)
  expect(stdout).not.toContain('NaN')
})
