import { quantityMilli } from '../api/meta/quantity.ts'
import { compileJsonPath } from './printers/jsonpath.ts'
import type { Printable } from './printers/output-format.ts'

/** Orders by the value at a path: as numbers or quantities where all are, else as text. */
export function sortItems(items: readonly Printable[], path: string | undefined): readonly Printable[] {
  if (path === undefined) return items
  const read = compileJsonPath(path.startsWith('{') ? path : `{${path.startsWith('.') ? path : `.${path}`}}`)
  const keyed = items.map((item) => ({ item, key: read(item.object) }))
  const numbers = new Map(keyed.map(({ key }) => [key, asNumber(key)]))
  const isNumeric = [...numbers.values()].every((number) => number !== undefined)
  return keyed
    .sort((a, b) =>
      isNumeric ? (numbers.get(a.key) ?? 0) - (numbers.get(b.key) ?? 0) : a.key < b.key ? -1 : a.key > b.key ? 1 : 0,
    )
    .map(({ item }) => item)
}

function asNumber(key: string): number | undefined {
  if (key === '') return undefined
  if (Number.isFinite(Number(key))) return Number(key)
  try {
    return quantityMilli(key) / 1000
  } catch {
    return undefined // No quantity: the caller compares as text.
  }
}
