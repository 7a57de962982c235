/** Durations in milliseconds of one thing that was done several times. */
export interface Row {
  readonly name: string
  readonly ms: readonly number[]
  /** What it is held against: the name of another row. */
  readonly against?: string
}

/** The value below which the given part of the samples lies. */
export function quantile(samples: readonly number[], part: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))] ?? Number.NaN
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5)

/** A table for people: median, 95th percentile, least, and the ratio of medians to the row that it is held against. */
export function table(rows: readonly Row[]): string {
  const medians = new Map(rows.map(({ name, ms }) => [name, median(ms)]))
  const cells = rows.map(({ name, ms, against }) => {
    const other = against === undefined ? undefined : medians.get(against)
    const ratio = other === undefined ? '' : `${(median(ms) / other).toFixed(2)} × ${against}`
    return [name, String(ms.length), ...[median(ms), quantile(ms, 0.95), Math.min(...ms)].map((value) => value.toFixed(0)), ratio]
  })
  const all = [['what', 'runs', 'median ms', 'p95 ms', 'least ms', 'median against'], ...cells]
  const widths = all.reduce((most, row) => row.map((cell, column) => Math.max(most[column] ?? 0, cell.length)), [] as number[])
  const isText = (column: number): boolean => column === 0 || column === 5
  const pad = (cell: string, column: number): string =>
    isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
  return all.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}

/** How long `work` takes, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}
