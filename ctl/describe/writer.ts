import { dateOf, parseTime } from '../../lib/clock.ts'

/**
 * Builds the indented text of `describe`. A tab ends a cell; cells of neighbouring lines that have one in the same column
 * are as wide as the widest of them, two spaces apart, as kubectl aligns them.
 */
export class DescribeWriter {
  readonly #lines: string[] = []
  #indent = 0

  /** `Label:   value`. */
  field(label: string, value: unknown): void {
    this.line(`${label}:\t${value === undefined || value === null || value === '' ? '<none>' : String(value)}`)
  }

  /** A time as people read it. */
  time(label: string, value: string | null | undefined): void {
    this.field(label, readableTime(value))
  }

  /** One entry a line, the first beside the label. */
  list(label: string, values: readonly string[]): void {
    if (values.length === 0) this.field(label, undefined)
    for (const [index, value] of values.entries()) this.line(`${index === 0 ? `${label}:` : ''}\t${value}`)
  }

  map(label: string, values: Readonly<Record<string, string>> | undefined, joint = '='): void {
    this.list(
      label,
      Object.entries(values ?? {})
        .map(([key, value]) => `${key}${joint}${value}`)
        .sort(),
    )
  }

  /** Names with values below their label; nothing where there are none. */
  values(label: string, values: Readonly<Record<string, unknown>> | undefined): void {
    const entries = Object.entries(values ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
    if (entries.length > 0)
      this.section(label, () => {
        for (const [key, value] of entries) this.field(key, value)
      })
  }

  /** Rows below a header that is underlined, all below the label. */
  table(label: string, header: readonly string[], rows: readonly (readonly string[])[], rule = header.map(underline)): void {
    this.each(label, rows, () => {
      for (const row of [header, rule, ...rows]) this.line(row.join('\t'))
    })
  }

  line(text: string): void {
    this.#lines.push(text === '' ? '' : '  '.repeat(this.#indent) + text)
  }

  /** A text with lines of its own, as it is. */
  text(text: string): void {
    for (const line of text.split('\n')) this.#lines.push(line)
  }

  section(label: string, body: () => void): void {
    this.line(`${label}:`)
    this.indented(body)
  }

  /** A section about some things; `<none>` when there are none. */
  each<T>(label: string, things: readonly T[], body: () => void): void {
    if (things.length === 0) this.field(label, undefined)
    else this.section(label, body)
  }

  indented(body: () => void): void {
    this.#indent += 1
    body()
    this.#indent -= 1
  }

  toString(): string {
    return align(this.#lines.map((line) => line.split('\t')))
      .map((line) => `${line}\n`)
      .join('')
  }
}

const underline = (cell: string): string => '-'.repeat(cell.length)

export function readableTime(value: string | null | undefined): string {
  const atMs = parseTime(value)
  return atMs === undefined ? '<unset>' : dateOf(atMs).toUTCString().replace('GMT', '+0000')
}

/** Elastic tab stops: a column lasts as long as each line has a cell that a tab ends there. */
function align(lines: readonly (readonly string[])[]): readonly string[] {
  const widths: number[][] = lines.map(() => [])
  const columns = Math.max(0, ...lines.map((cells) => cells.length - 1))
  for (let column = 0; column < columns; column++) {
    let block: number[] = []
    for (let at = 0; at <= lines.length; at++) {
      const cells = lines[at]
      if (cells !== undefined && column < cells.length - 1) {
        block.push(at)
        continue
      }
      const width = Math.max(0, ...block.map((index) => lines[index]?.[column]?.length ?? 0)) + 2
      for (const index of block) widths[index]?.push(width)
      block = []
    }
  }
  return lines.map((cells, at) => cells.map((cell, column) => cell.padEnd(widths[at]?.[column] ?? 0)).join(''))
}
