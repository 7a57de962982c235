import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../machine.ts'

/** What one fault did. */
export interface FaultRow {
  readonly fault: string
  readonly lost: number
  readonly duplicate: number
  readonly orphan: number
  readonly restarted: number
  /** Undefined: it did not recover in time. */
  readonly seconds: number | undefined
  /** What is behind the figures, and whatever else is not as it should be. */
  readonly problems: readonly string[]
}

export const rowsFolder = join(root, 'dist/faults')

/** Replaces the rows of one test file's last run. */
export function writeRows(name: string, rows: readonly FaultRow[]): void {
  mkdirSync(rowsFolder, { recursive: true })
  writeFileSync(join(rowsFolder, `${name}.json`), `${JSON.stringify(rows, null, 2)}\n`)
}

/** As docs/reliability.md shows them. */
export function table(rows: readonly FaultRow[]): string {
  const lines = rows.map(
    ({ fault, lost, duplicate, orphan, restarted, seconds }) =>
      `| ${fault} | ${lost} | ${duplicate} | ${orphan} | ${restarted} | ${seconds?.toFixed(1) ?? 'not in time'} |`,
  )
  const head = ['| fault | lost | duplicate | orphan | needlessly restarted | seconds to recover |', '|---|---|---|---|---|---|']
  return [...head, ...lines].join('\n')
}
