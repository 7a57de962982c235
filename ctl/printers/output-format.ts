import { stringify } from 'yaml'
import type { KindDef } from '../../api/kinds/define.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { UserError } from '../output.ts'
import { printedName } from '../resources.ts'
import { compileJsonPath } from './jsonpath.ts'
import { alignRows } from './table.ts'

export interface Printable {
  readonly kind: KindDef
  readonly object: ApiObject
}

/** Prints objects as `-o` says. `isList`: the user asked for many, so that structured forms are one List. */
export type Printer = (items: readonly Printable[], isList: boolean) => string

const outputs = 'name, yaml, json, wide, jsonpath=TEMPLATE, custom-columns=HEADER:PATH,…'

// YAML 1.1, in which "on", "12:30" and times are quoted: its readers would not take them for texts otherwise.
const yamlStyle = { version: '1.1', aliasDuplicateObjects: false, lineWidth: 0, indentSeq: false } as const

/** The printer of an output format; undefined for the two table forms (nothing, and `wide`). */
export function printerOf(format: string | undefined): Printer | undefined {
  const [name = '', template] = splitOnce(format ?? '', '=')
  switch (name) {
    case '':
    case 'wide':
      return undefined
    case 'name':
      return (items) => items.map(({ kind, object }) => `${printedName(kind, object.metadata.name ?? '')}\n`).join('')
    case 'json':
      return (items, isList) => `${JSON.stringify(asOne(items, isList), null, 4)}\n`
    case 'yaml':
      return (items, isList) => stringify(asOne(items, isList), yamlStyle)
    case 'jsonpath':
      return jsonPathPrinter(template)
    case 'custom-columns':
      return columnsPrinter(template)
    default:
      throw new UserError(
        `error: unable to match a printer suitable for the output format "${format}", allowed formats are: ${outputs}`,
      )
  }
}

function jsonPathPrinter(template: string | undefined): Printer {
  if (template === undefined || template === '') throw new UserError('error: template format specified but no template given')
  const path = compileJsonPath(template)
  return (items, isList) => path(asOne(items, isList))
}

function columnsPrinter(spec: string | undefined): Printer {
  const columns = (spec ?? '').split(',').map((column) => splitOnce(column, ':'))
  if (columns.some(([header, path]) => header === '' || path === undefined || path === ''))
    throw new UserError('error: custom-columns wants HEADER:PATH,HEADER:PATH, as in NAME:.metadata.name')
  const paths = columns.map(([, path = '']) => compileJsonPath(`{${path.startsWith('.') ? path : `.${path}`}}`))
  const header = columns.map(([name]) => name)
  return (items) => {
    const rows = items.map(({ object }) => paths.map((path) => path(object).split(' ').join(',') || '<none>'))
    return `${alignRows([header, ...rows]).join('\n')}\n`
  }
}

function asOne(items: readonly Printable[], isList: boolean): unknown {
  const objects = items.map(({ object }) => ordered(object))
  return isList ? { apiVersion: 'v1', items: objects, kind: 'List', metadata: { resourceVersion: '' } } : objects[0]
}

/** Without what only machines read, and every key where people look for it: in the order of the alphabet. */
function ordered(object: ApiObject): unknown {
  const { managedFields: _, ...metadata } = object.metadata
  return sorted({ ...object, metadata })
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  )
}

function splitOnce(value: string, separator: string): [string, string | undefined] {
  const at = value.indexOf(separator)
  return at < 0 ? [value, undefined] : [value.slice(0, at), value.slice(at + 1)]
}
