import type { KindDef } from '../kinds/define.ts'
import type { ApiObject, ListMeta } from '../meta/object-meta.ts'

/** `meta.k8s.io/v1` Table: objects as `kubectl get` shows them. */
export interface Table {
  readonly kind: 'Table'
  readonly apiVersion: 'meta.k8s.io/v1'
  readonly metadata: ListMeta
  readonly columnDefinitions: readonly ColumnDefinition[]
  readonly rows: readonly TableRow[]
}

interface ColumnDefinition {
  readonly name: string
  readonly type: string
  readonly format: string
  readonly description: string
  /** 0: always shown; 1: under `-o wide`. */
  readonly priority: number
}

interface TableRow {
  readonly cells: readonly (string | number | boolean | null)[]
  readonly object?: unknown
}

/** What comes along with each row. */
export type IncludeObject = 'None' | 'Metadata' | 'Object'

export interface TableOptions {
  readonly includeObject: IncludeObject
  /** Epoch milliseconds, for ages. */
  readonly nowMs: number
  /** Watch events after the first carry no columns. */
  readonly withColumns: boolean
}

export function toTable(kind: KindDef, objects: readonly ApiObject[], metadata: ListMeta, options: TableOptions): Table {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: options.withColumns ? columnsOf(kind) : [],
    rows: objects.map((object) => toRow(kind, object, options)),
  }
}

function columnsOf(kind: KindDef): readonly ColumnDefinition[] {
  return kind.columns.map(({ name, type = 'string', wide, doc }) => ({
    name,
    type,
    format: name === 'Name' ? 'name' : '',
    description: doc ?? '',
    priority: wide === true ? 1 : 0,
  }))
}

function toRow(kind: KindDef, object: ApiObject, { includeObject, nowMs }: TableOptions): TableRow {
  const cells = kind.columns
    .map((column) => column.cell(object, nowMs) ?? '<none>')
    .map((cell) => (cell === '' ? '<none>' : cell))
  if (includeObject === 'None') return { cells }
  return { cells, object: includeObject === 'Object' ? object : partial(object) }
}

/** `meta.k8s.io/v1` PartialObjectMetadata. */
function partial({ metadata }: ApiObject): unknown {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
}
