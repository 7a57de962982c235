/** Builds the indented, aligned text of `describe`. */
export class DescribeWriter {
  readonly #lines: { readonly indent: number; readonly label: string; readonly value: string }[] = []
  #indent = 0

  /** `Label:   value`, aligned with its neighbours of the same depth. */
  field(label: string, value: unknown): void {
    const text = value === undefined || value === null || value === '' ? '<none>' : String(value)
    this.#lines.push({ indent: this.#indent, label: `${label}:`, value: text })
  }

  /** One entry a line, the first beside the label. */
  list(label: string, values: readonly string[]): void {
    if (values.length === 0) this.field(label, undefined)
    for (const [index, value] of values.entries())
      this.#lines.push({ indent: this.#indent, label: index === 0 ? `${label}:` : '', value })
  }

  map(label: string, values: Readonly<Record<string, string>> | undefined): void {
    this.list(
      label,
      Object.entries(values ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .sort(),
    )
  }

  line(text: string): void {
    this.#lines.push({ indent: this.#indent, label: text, value: '' })
  }

  section(label: string, body: () => void): void {
    this.line(`${label}:`)
    this.#indent += 1
    body()
    this.#indent -= 1
  }

  toString(): string {
    const widths = new Map<number, number>()
    for (const { indent, label, value } of this.#lines)
      if (value !== '') widths.set(indent, Math.max(widths.get(indent) ?? 0, label.length))
    return this.#lines
      .map(({ indent, label, value }) =>
        `${'  '.repeat(indent)}${value === '' ? label : `${label.padEnd(widths.get(indent) ?? 0)}  ${value}`}`.trimEnd(),
      )
      .map((line) => `${line}\n`)
      .join('')
  }
}
