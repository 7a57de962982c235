import { stringify } from 'yaml'
import type { KindDef } from '../../api/kinds/define.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { manifestYamlStyle } from '../../api/meta/yaml.ts'
import { UserError } from '../output.ts'
import { printedName } from '../resources.ts'
import { compileJsonPath, compilePath, compileValues } from './jsonpath.ts'
import { alignRows } from './table.ts'

export interface Printable {
  readonly kind: KindDef
  readonly object: ApiObject
}

/** Prints objects as `-o` says. `isList`: the user asked for many, so that structured forms are one List. */
export type Printer = (items: readonly Printable[], isList: boolean) => string

const outputs = 'custom-columns,json,jsonpath,jsonpath-as-json,name,wide,yaml'

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
      return (items, isList) => stringify(asOne(items, isList), manifestYamlStyle)
    case 'jsonpath':
      return jsonPathPrinter(template)
    case 'jsonpath-as-json':
      return jsonValuesPrinter(template)
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

function jsonValuesPrinter(template: string | undefined): Printer {
  if (template === undefined || template === '') throw new UserError('error: template format specified but no template given')
  const read = compileValues(template)
  return (items, isList) => `${JSON.stringify(read(asOne(items, isList)), null, 4)}\n`
}

function columnsPrinter(spec: string | undefined): Printer {
  const columns = (spec ?? '').split(',').map((column) => splitOnce(column, ':'))
  if (columns.some(([header, path]) => header === '' || path === undefined || path === ''))
    throw new UserError('error: custom-columns wants HEADER:PATH,HEADER:PATH, as in NAME:.metadata.name')
  const paths = columns.map(([, path = '']) => compilePath(path))
  const header = columns.map(([name]) => name)
  return (items) => {
    const rows = items.map(({ object }) => paths.map((path) => path(object).map(goText).join(',') || '<none>'))
    return `${alignRows([header, ...rows]).join('\n')}\n`
  }
}

/** A value as kubectl's columns show it. */
function goText(value: unknown): string {
  if (value === null) return '<none>'
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`
  if (typeof value !== 'object') return String(value)
  const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `map[${pairs.map(([key, inner]) => `${key}:${goText(inner)}`).join(' ')}]`
}

function asOne(items: readonly Printable[], isList: boolean): unknown {
  const objects = items.map(({ object }) => ordered(object))
  return isList ? { apiVersion: 'v1', items: objects, kind: 'List', metadata: { resourceVersion: '' } } : objects[0]
}

/** Without what only machines read, and every key where people look for it: in the order of the alphabet. */
function ordered(object: ApiObject): unknown {
  const { managedFields: _, ...metadata } = object.metadata
  return sortedKeys({ ...object, metadata })
}

/** Every object's keys in the order of the alphabet, as Kubernetes' own programs write them. */
export function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sortedKeys(inner)]),
  )
}

function splitOnce(value: string, separator: string): [string, string | undefined] {
  const at = value.indexOf(separator)
  return at < 0 ? [value, undefined] : [value.slice(0, at), value.slice(at + 1)]
}
