import { quantile } from './figures.ts'

/** One thing that was done many times. */
export interface Rate {
  readonly name: string
  readonly count: number
  readonly seconds: number
  /** Of each, where each has a time of its own. */
  readonly ms: readonly number[]
  /** Processor time of each, in microseconds; undefined where the program has no part in it. */
  readonly serverCpu: number | undefined
  readonly etcdCpu: number | undefined
  readonly clientCpu: number
  /** Event-loop delay of the server while it went on, in milliseconds. */
  readonly delay?: { readonly p50: number; readonly p99: number } | undefined
  readonly note?: string
}

export const perSecond = ({ count, seconds }: Rate): number => count / seconds

function ratio(row: Rate, rows: readonly Rate[], against: ReadonlyMap<string, string>): string {
  const other = rows.find(({ name }) => name === against.get(row.name))
  return other === undefined ? '' : `${(perSecond(row) / perSecond(other)).toFixed(2)} × ${other.name}`
}

/** A table for people. `against` says by their names which row's rate another one is held against. */
export function rateTable(rows: readonly Rate[], against: ReadonlyMap<string, string>): string {
  const digits = (value: number | undefined, after: number): string => (value === undefined ? '' : value.toFixed(after))
  const cells = rows.map((row) => [
    row.name,
    String(row.count),
    digits(perSecond(row), perSecond(row) < 100 ? 1 : 0),
    digits(row.ms.length === 0 ? undefined : quantile(row.ms, 0.5), 1),
    digits(row.ms.length === 0 ? undefined : quantile(row.ms, 0.99), 1),
    digits(row.serverCpu, row.count > 50_000 ? 1 : 0),
    digits(row.etcdCpu, 0),
    digits(row.clientCpu, row.count > 50_000 ? 1 : 0),
    row.delay === undefined ? '' : `${row.delay.p50.toFixed(0)} / ${row.delay.p99.toFixed(0)}`,
    [row.note ?? '', ratio(row, rows, against)].filter((text) => text !== '').join(', '),
  ])
  const head = ['what', 'count', 'per s', 'p50 ms', 'p99 ms', 'server', 'etcd', 'clients', 'loop p50/p99', '']
  const all = [head, ...cells]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const pad = (cell: string, column: number): string =>
    column === 0 || column === head.length - 1 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
  const text = all.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
  return `${text}\n\nserver, etcd, clients: processor time of each, in microseconds; loop: delay of the server's event loop, in ms`
}
