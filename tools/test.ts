// npm test: runs each test project in turn and ends with the line `N passed, N failed`.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

interface Report {
  numPassedTests: number
  numFailedTests: number
  numFailedTestSuites: number
}

const folder = mkdtempSync(join(tmpdir(), 'skiff-test-'))
let passed = 0
let failed = 0
for (const project of ['unit', 'etcd', 'docker', 'e2e']) {
  console.log(`\n== ${project} tests`)
  const file = join(folder, `${project}.json`)
  const run = spawnSync(
    'npx',
    [
      '--no-install',
      'vitest',
      'run',
      '--project',
      project,
      '--passWithNoTests',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
    ],
    { stdio: 'inherit' },
  )
  try {
    const report = JSON.parse(readFileSync(file, 'utf8')) as Report
    passed += report.numPassedTests
    failed += report.numFailedTests
    if (report.numFailedTests === 0 && run.status !== 0) failed += 1
  } catch (err) {
    if (run.status !== 0) failed += 1
    else console.log(`no report: ${String(err)}`)
  }
}
rmSync(folder, { recursive: true, force: true })
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
