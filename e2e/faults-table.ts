// Prints the rows that the tests of faults left behind, as the tables of docs/reliability.md.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { type FaultRow, rowsFolder, table } from './invariants/rows.ts'

const files = existsSync(rowsFolder) ? readdirSync(rowsFolder).sort() : []
if (files.length === 0) process.stdout.write('no rows yet: run the tests of faults first (npx vitest run --project e2e faults)\n')
for (const file of files) {
  const rows = JSON.parse(readFileSync(join(rowsFolder, file), 'utf8')) as readonly FaultRow[]
  process.stdout.write(`${file.replace('.json', '')}\n\n${table(rows)}\n\n`)
  for (const { fault, problems } of rows) for (const problem of problems) process.stdout.write(`! ${fault}: ${problem}\n`)
}
