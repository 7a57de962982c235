import type { KindDef } from '../../api/kinds/define.ts'
import type { ApiList, ApiObject } from '../../api/meta/object-meta.ts'
import { keyOf } from '../../api/meta/object-meta.ts'
import type { ApiRequest, RequestOptions } from '../../api/meta/request.ts'
import { badRequest, expired, internalError, isExpired, notFound } from '../../api/meta/status.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { decodeObject } from '../store/codec.ts'
import { kindPrefix, objectKey } from '../store/keys.ts'
import type { KeyValue } from '../store/store.ts'
import type { RegistryOptions } from './options.ts'
import { type Matcher, matcherOf, nameIn } from './selectors.ts'

type Deps = Pick<RegistryOptions, 'store' | 'cache' | 'log'>

/** Waits until the cache is as fresh as the request asks: by default as fresh as etcd. */
async function fresh({ cache }: Deps, resourceVersion: string | undefined, opts: AbortOptions): Promise<void> {
  if (resourceVersion === undefined || resourceVersion === '') await cache.waitForCurrent(opts)
  else if (resourceVersion === '0') await cache.ready(opts)
  else await cache.waitFor(revisionOf(resourceVersion), opts)
}

/** A resource version as the number it is. */
export function revisionOf(resourceVersion: string): number {
  if (!/^\d{1,15}$/.test(resourceVersion))
    throw badRequest(
      `resourceVersion: Invalid value: "${resourceVersion.slice(0, 100)}": must be a revision that this server gave`,
    )
  return Number(resourceVersion)
}

export async function readObject(deps: Deps, request: ApiRequest & { name: string }, opts: AbortOptions): Promise<ApiObject> {
  const { kind, namespace, name, options } = request
  await fresh(deps, options?.resourceVersion, opts)
  const key = keyOf({ metadata: { name, ...(namespace === undefined ? {} : { namespace }) } })
  const found = deps.cache.get(kind, key)
  if (found !== undefined) return found
  throw missing(deps, kind, { key, name })
}

/** NotFound, or what is wrong with the value that lies there. */
export function missing({ cache }: Pick<Deps, 'cache'>, kind: KindDef, { key, name }: { key: string; name: string }): Error {
  const damage = cache.unreadable(kind, key)
  return damage === undefined ? notFound(kind, name) : internalError(damage.message)
}

const listOf = (kind: KindDef, items: readonly ApiObject[], metadata: ApiList['metadata']): ApiList => ({
  apiVersion: kind.apiVersion,
  kind: kind.listKind,
  metadata,
  items,
})

export async function readList(deps: Deps, request: ApiRequest, opts: AbortOptions): Promise<ApiList> {
  const { kind, namespace, options = {} } = request
  checkListOptions(options)
  if (options.continue !== undefined && options.continue !== '') return readOn(deps, request, options.continue, opts)
  const matches = matcherOf(kind, options)
  await fresh(deps, options.resourceVersion, opts)
  const { cache } = deps
  if (options.resourceVersionMatch === 'Exact' && Number(options.resourceVersion) !== cache.revision) {
    return readPast(deps, request, { revision: Number(options.resourceVersion) }, opts)
  }
  // One turn of the event loop: what is listed is the state at this revision.
  const revision = cache.revision
  const all = candidates(deps, request)
  const items = matches === undefined ? all : all.filter(matches)
  const limit = options.limit ?? 0
  if (limit === 0 || items.length <= limit) return listOf(kind, items, { resourceVersion: String(revision) })
  const page = items.slice(0, limit)
  return listOf(kind, page, {
    resourceVersion: String(revision),
    continue: encodeToken({ revision, after: lastKey(kind, page), namespace }),
    ...(matches === undefined ? { remainingItemCount: items.length - limit } : {}),
  })
}

function candidates({ cache }: Deps, { kind, namespace, options = {} }: ApiRequest): readonly ApiObject[] {
  const name = nameIn(options)
  const isOne = name !== undefined && (namespace !== undefined || kind.scope === 'Cluster')
  if (!isOne) return cache.list(kind, namespace)
  const found = cache.get(kind, keyOf({ metadata: { name, ...(namespace === undefined ? {} : { namespace }) } }))
  return found === undefined ? [] : [found]
}

function checkListOptions({ limit, continue: token, resourceVersion, resourceVersionMatch }: RequestOptions): void {
  if (limit !== undefined && (!Number.isInteger(limit) || limit < 0))
    throw badRequest(`limit: Invalid value: ${limit}: must be a whole number from 0`)
  if (resourceVersionMatch === undefined) return
  if (token !== undefined) throw badRequest('resourceVersionMatch: Forbidden: may not be given together with continue')
  if (resourceVersion === undefined) throw badRequest('resourceVersionMatch: Forbidden: may not be given without resourceVersion')
  if (resourceVersionMatch === 'Exact' && revisionOf(resourceVersion) === 0) {
    throw badRequest('resourceVersionMatch: Forbidden: "Exact" may not be given with resourceVersion "0"')
  }
}

interface Token {
  readonly revision: number
  /** Storage key of the last object given. */
  readonly after: string
  readonly namespace: string | undefined
}

const lastKey = (kind: KindDef, page: readonly ApiObject[]): string => {
  const { namespace, name = '' } = page.at(-1)?.metadata ?? {}
  return objectKey(kind, namespace, name)
}

const encodeToken = (token: Token): string => Buffer.from(JSON.stringify(token)).toString('base64url')

function decodeToken(text: string, { kind, namespace }: ApiRequest): Token {
  try {
    const token: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    const { revision, after, namespace: room } = token as Token
    if (
      Number.isSafeInteger(revision) &&
      revision > 0 &&
      typeof after === 'string' &&
      after.startsWith(kindPrefix(kind)) &&
      room === namespace
    )
      return { revision, after, namespace: room }
  } catch {
    // Falls through: whatever is wrong with it, it is none of ours.
  }
  throw badRequest('continue key is not valid: it is not one that this list gave')
}

/** The pages behind the first come from the store's past, so that all show one state. */
async function readOn(deps: Deps, request: ApiRequest, text: string, opts: AbortOptions): Promise<ApiList> {
  const { revision, after } = decodeToken(text, request)
  return readPast(deps, request, { revision, after }, opts)
}

const chunk = 500

async function readPast(
  deps: Deps,
  request: ApiRequest,
  from: { revision: number; after?: string },
  opts: AbortOptions,
): Promise<ApiList> {
  const { kind, namespace, options = {} } = request
  const { revision } = from
  const matches = matcherOf(kind, options)
  const prefix = namespace === undefined ? kindPrefix(kind) : objectKey(kind, namespace, 'x').slice(0, -1)
  const most = options.limit === undefined || options.limit === 0 ? Number.POSITIVE_INFINITY : options.limit
  const found: ApiObject[] = []
  let { after } = from
  for (let remaining = 1; remaining > 0; ) {
    // No more than are wanted: what lies behind the last one looked at is where the next page begins.
    const limit = Math.min(chunk, most - found.length)
    const page = await pageAt(deps, { prefix, revision, limit, ...(after === undefined ? {} : { after }) }, opts)
    found.push(...page.items.flatMap((item) => readable(deps, item, matches)))
    after = page.items.at(-1)?.key ?? after
    remaining = page.remaining
    if (remaining === 0 || found.length < most || after === undefined) continue
    const rest = matches === undefined ? { remainingItemCount: remaining } : {}
    return listOf(kind, found, {
      resourceVersion: String(revision),
      continue: encodeToken({ revision, after, namespace }),
      ...rest,
    })
  }
  return listOf(kind, found, { resourceVersion: String(revision) })
}

async function pageAt(
  { store }: Deps,
  options: { prefix: string; revision: number; limit: number; after?: string },
  opts: AbortOptions,
) {
  try {
    return await store.list({ ...options, ...opts })
  } catch (err) {
    if (isExpired(err))
      throw expired(
        'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.',
      )
    if (err instanceof RangeError) throw badRequest(`resourceVersion: Invalid value: ${options.revision}: lies in the future`)
    throw err
  }
}

function readable({ log }: Deps, item: KeyValue, matches: Matcher | undefined): readonly ApiObject[] {
  try {
    const object = decodeObject(item)
    return matches === undefined || matches(object) ? [object] : []
  } catch (err) {
    log.error('a stored object is left out of a list', { key: item.key, err })
    return []
  }
}
