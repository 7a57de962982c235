import type { RequestOptions } from '../../api/meta/request.ts'
import { badRequest } from '../../api/meta/status.ts'
import { isObject } from '../../api/patch/json.ts'

function oneOf<const V extends string>(query: URLSearchParams, name: string, values: readonly V[]): V | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  const found = values.find((value) => value === text)
  if (found === undefined)
    throw badRequest(
      `${name}: Unsupported value: "${text.slice(0, 100)}": supported values: ${values.map((one) => `"${one}"`).join(', ')}`,
    )
  return found
}

export function integer(query: URLSearchParams, name: string, min = 0): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  if (!/^-?\d{1,15}$/.test(text) || Number(text) < min)
    throw badRequest(`${name}: Invalid value: "${text.slice(0, 100)}": must be a whole number from ${min}`)
  return Number(text)
}

export function flag(query: URLSearchParams, name: string): boolean {
  const text = query.get(name)
  if (text === null || text === '' || text === 'false' || text === '0') return false
  if (text === 'true' || text === '1') return true
  throw badRequest(`${name}: Invalid value: "${text.slice(0, 100)}": must be true or false`)
}

const textIn = (query: URLSearchParams, name: string): string | undefined => query.get(name) || undefined

/** The options of a request's query. Throws BadRequest that names what is wrong; parameters that nobody knows are nothing wrong. */
export function readOptions(query: URLSearchParams): RequestOptions {
  if (query.size === 0) return {}
  const all = {
    labelSelector: textIn(query, 'labelSelector'),
    fieldSelector: textIn(query, 'fieldSelector'),
    fieldValidation: oneOf(query, 'fieldValidation', ['Strict', 'Warn', 'Ignore']),
    fieldManager: textIn(query, 'fieldManager'),
    dryRun: oneOf(query, 'dryRun', ['All']) === undefined ? undefined : true,
    limit: integer(query, 'limit'),
    continue: textIn(query, 'continue'),
    resourceVersion: textIn(query, 'resourceVersion'),
    resourceVersionMatch: oneOf(query, 'resourceVersionMatch', ['Exact', 'NotOlderThan']),
    gracePeriodSeconds: integer(query, 'gracePeriodSeconds', -1),
    propagationPolicy: oneOf(query, 'propagationPolicy', ['Foreground', 'Background', 'Orphan']),
  }
  return given(all)
}

/** Without what is undefined. */
function given<T extends object>(all: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** DeleteOptions may come as the body; what it says counts more than the query. */
export function withDeleteOptions(options: RequestOptions, body: unknown): RequestOptions {
  if (body === undefined) return options
  if (!isObject(body)) throw badRequest('the body of a deletion is a DeleteOptions')
  const query = new URLSearchParams()
  for (const name of ['gracePeriodSeconds', 'propagationPolicy'] as const) {
    const value = body[name]
    if (value !== undefined && value !== null) query.set(name, asText(value))
  }
  const { dryRun } = body
  if (dryRun !== undefined && dryRun !== null && !Array.isArray(dryRun)) throw badRequest('dryRun: Invalid value: must be a list')
  for (const one of dryRun ?? []) query.set('dryRun', asText(one))
  if (body['orphanDependents'] === true && !query.has('propagationPolicy')) query.set('propagationPolicy', 'Orphan')
  const preconditions = isObject(body['preconditions']) ? readPreconditions(body['preconditions']) : {}
  return { ...options, ...readOptions(query), ...preconditions }
}

/** Of what is neither text nor number too: that it is wrong is said by whoever reads it. */
const asText = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))

function readPreconditions(given: Readonly<Record<string, unknown>>): Pick<RequestOptions, 'preconditions'> {
  const { uid, resourceVersion } = given
  for (const [name, value] of Object.entries({ uid, resourceVersion })) {
    if (value !== undefined && value !== null && typeof value !== 'string')
      throw badRequest(`preconditions.${name}: Invalid value: must be a string`)
  }
  return {
    preconditions: {
      ...(typeof uid === 'string' ? { uid } : {}),
      ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
    },
  }
}
