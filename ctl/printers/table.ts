import type { Cell, Column, KindDef } from '../../api/kinds/define.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'

export interface TableOptions {
  readonly wide: boolean
  readonly withNamespace: boolean
  readonly noHeaders: boolean
  readonly showLabels: boolean
  /** Labels with a column of their own. */
  readonly labelColumns: readonly string[]
  readonly showKind: boolean
  readonly nowMs: number
}

/** Rows of text cells under a header, columns padded to their widest cell and three spaces apart, at least six wide. */
export function alignRows(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = []
  for (const row of rows) for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length)
  return rows.map((row) =>
    row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(columnWidth(widths[index] ?? 0)))).join(''),
  )
}

/** With the space to the next column, as kubectl spaces them. */
export const columnWidth = (widest: number): number => Math.max(widest + 3, 6)

/** A kind's objects as `kubectl get` shows them: header first, unless `noHeaders`. */
export function tableRows(kind: KindDef, objects: readonly ApiObject[], options: TableOptions): readonly (readonly string[])[] {
  const columns = kind.columns.filter((column) => options.wide || column.wide !== true)
  const header = [
    ...(options.withNamespace ? ['NAMESPACE'] : []),
    ...columns.map((column) => column.name.toUpperCase()),
    ...options.labelColumns.map((label) => (label.split('/').pop() ?? '').toUpperCase()),
    ...(options.showLabels ? ['LABELS'] : []),
  ]
  const rows = objects.map((object) => [
    ...(options.withNamespace ? [object.metadata.namespace ?? ''] : []),
    ...columns.map((column, index) => cellText(column, object, options, index === 0 ? kind : undefined)),
    ...options.labelColumns.map((label) => object.metadata.labels?.[label] ?? ''),
    ...(options.showLabels ? [labelsText(object)] : []),
  ])
  return options.noHeaders ? rows : [header, ...rows]
}

function cellText(column: Column<ApiObject>, object: ApiObject, options: TableOptions, kind: KindDef | undefined): string {
  const value = show(column.cell(object, options.nowMs))
  if (kind === undefined || !options.showKind) return value
  return `${kind.singular}${kind.group === '' ? '' : `.${kind.group}`}/${value}`
}

function show(cell: Cell): string {
  return cell === undefined || cell === null || cell === '' ? '<none>' : String(cell)
}

function labelsText({ metadata }: ApiObject): string {
  const labels = Object.entries(metadata.labels ?? {}).map(([key, value]) => `${key}=${value}`)
  return labels.length === 0 ? '<none>' : labels.sort().join(',')
}
