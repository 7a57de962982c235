/** One thing that was done many times. */
export interface Rate {
  readonly name: string
  readonly count: number
  readonly seconds: number
  /** Of one, in milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Processor time per thousand, in seconds; undefined where the program has no part in it. */
  readonly serverCpu: number | undefined
  readonly etcdCpu: number | undefined
  readonly clientCpu: number
  /** Event-loop delay of the server while it went on, in milliseconds. */
  readonly delay?: { readonly p50: number; readonly p99: number } | undefined
  readonly note?: string
}

export const perSecond = ({ count, seconds }: Rate): number => count / seconds

/** A table for people. */
export function rateTable(rows: readonly Rate[]): string {
  const digits = (value: number | undefined, after: number): string => (value === undefined ? '' : value.toFixed(after))
  const cells = rows.map((row) => [
    row.name,
    String(row.count),
    digits(perSecond(row), perSecond(row) < 100 ? 1 : 0),
    digits(row.p50, 1),
    digits(row.p99, 1),
    digits(row.serverCpu, 2),
    digits(row.etcdCpu, 2),
    digits(row.clientCpu, 2),
    row.delay === undefined ? '' : `${row.delay.p50.toFixed(0)} / ${row.delay.p99.toFixed(0)}`,
    row.note ?? '',
  ])
  const head = ['what', 'count', 'per s', 'p50 ms', 'p99 ms', 'server', 'etcd', 'clients', 'loop p50/p99', '']
  const all = [head, ...cells]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const pad = (cell: string, column: number): string =>
    column === 0 || column === head.length - 1 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
  const text = all.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
  return `${text}\n\nserver, etcd, clients: processor seconds per thousand; loop: delay of the server's event loop, ms`
}
