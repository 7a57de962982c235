import type { RequestOptions } from '../api/meta/request.ts'

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
