import type { KindDef } from '../api/kinds/define.ts'
import type { RequestOptions } from '../api/meta/request.ts'

interface Place {
  readonly kind: Pick<KindDef, 'group' | 'version' | 'plural'>
  readonly namespace?: string
  readonly name?: string
  readonly subresource?: string
}

/** The path of a collection, an object or a part of one. */
export function restPath({ kind, namespace, name, subresource }: Place): string {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`
  const room = namespace === undefined ? [] : ['namespaces', namespace]
  const rest = [...room, kind.plural, ...(name === undefined ? [] : [name]), ...(subresource === undefined ? [] : [subresource])]
  return `${root}/${rest.map(encodeURIComponent).join('/')}`
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>

/** `?a=b`, or nothing. Absent values are left out. */
export function queryString(query: Query): string {
  const pairs = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, String(value)]],
  )
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`
}

export function requestQuery(options: RequestOptions): Query {
  const { labelSelector, fieldSelector, fieldValidation, fieldManager, limit, resourceVersion, resourceVersionMatch } = options
  return {
    labelSelector,
    fieldSelector,
    fieldValidation,
    fieldManager,
    limit,
    resourceVersion,
    resourceVersionMatch,
    continue: options.continue,
    dryRun: options.dryRun === true ? 'All' : undefined,
  }
}
