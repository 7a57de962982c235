// npm test: set-up, checks, then each test project in turn; ends with the line `N passed, N failed`.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { etcdBinary, etcdctlBinary } from '../deploy/etcd.ts'
import { makeHelloImage } from '../deploy/image.ts'
import { setup } from '../deploy/setup.ts'
import { step } from '../deploy/steps.ts'
import { buildPrograms, isStale } from './build.ts'

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
}

interface Count {
  readonly passed: number
  readonly failed: number
}

const root = resolve(import.meta.dirname, '..')
const projects = ['unit', 'etcd', 'docker', 'e2e'] as const
type Project = (typeof projects)[number]

function runProject(project: Project, folder: string): Count {
  console.log(`\n== ${project} tests`)
  const file = join(folder, `${project}.json`)
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const run = spawnSync(
    join(root, 'node_modules/.bin/vitest'),
    ['run', '--project', project, '--passWithNoTests', ...reporters],
    {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, SKIFF_ETCD: etcdBinary(), SKIFF_ETCDCTL: etcdctlBinary() },
    },
  )
  const report: Report | undefined = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
  const failed = report?.numFailedTests ?? 0
  // A file that does not load has no failed tests, and fails all the same.
  return { passed: report?.numPassedTests ?? 0, failed: failed === 0 && run.status !== 0 ? 1 : failed }
}

function runChecks(): Count {
  console.log('\n== checks')
  const run = spawnSync(process.execPath, ['tools/check.ts'], { cwd: root, stdio: 'inherit' })
  return run.status === 0 ? { passed: 0, failed: 0 } : { passed: 0, failed: 1 }
}

async function prepare(chosen: readonly Project[]): Promise<void> {
  if (chosen.includes('etcd') || chosen.includes('e2e')) await setup(['packages', 'etcd'])
  if (chosen.includes('docker') || chosen.includes('e2e')) {
    await setup(['packages', 'docker'])
    await step('Example image', makeHelloImage)
  }
  if (chosen.includes('e2e') && isStale())
    await step('Programs', async (say) => say(`bundled ${(await buildPrograms()).join(', ')}`))
}

const named = projects.filter((project) => process.argv.includes(project))
const chosen = named.length === 0 ? projects : named
await prepare(chosen)
const folder = mkdtempSync(join(tmpdir(), 'skiff-test-'))
const counts = [...(named.length === 0 ? [runChecks()] : []), ...chosen.map((project) => runProject(project, folder))]
rmSync(folder, { recursive: true, force: true })
const sum = (pick: (count: Count) => number): number => counts.reduce((total, count) => total + pick(count), 0)
const passed = sum((count) => count.passed)
const failed = sum((count) => count.failed)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
