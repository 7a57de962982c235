// npm run check: every check that needs neither root nor Docker, in order, a line each. Prints a check's output if it fails.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { tryRun } from '../deploy/steps.ts'

const root = resolve(import.meta.dirname, '..')
const bin = (name: string): string => `${root}/node_modules/.bin/${name}`

const checks = [
  { name: 'types', command: bin('tsc'), args: ['--noEmit'] },
  { name: 'lint and format', command: bin('biome'), args: ['check', '--colors=off', '--max-diagnostics=50', '.'] },
  { name: 'dead code', command: bin('knip'), args: ['--no-config-hints'] },
  { name: 'generated files', command: process.execPath, args: ['tools/generate.ts', '--check'] },
  { name: 'house rules', command: bin('vitest'), args: ['run', '--project', 'unit', 'tools/tidy.test.ts'] },
] as const

// Without its programs every export of the tree is dead: the check starts with the last of them.
const hasPrograms = ['controlplane', 'agent', 'ctl'].every((name) => existsSync(join(root, name, 'main.ts')))

let failed = 0
for (const { name, command, args } of checks) {
  if (name === 'dead code' && !hasPrograms) continue
  const startedAt = performance.now()
  const result = await tryRun(command, args, { cwd: root })
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(`${result.code === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`)
  if (result.code === 0) continue
  failed += 1
  console.log(`${result.stdout}${result.stderr}`)
}
console.log(failed === 0 ? 'all checks passed' : `${failed} of ${checks.length} checks failed`)
process.exitCode = failed === 0 ? 0 : 1
