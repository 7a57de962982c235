import { type ApiPath, parseRestPath } from '../../api/derive/paths.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import type { Verb } from '../../api/meta/request.ts'
import { methodNotAllowed, noSuchPath } from '../../api/meta/status.ts'

export interface ResourceRoute {
  readonly kind: KindDef
  readonly verb: Verb | 'watch'
  readonly namespace: string | undefined
  readonly name: string | undefined
  readonly subresource: string | undefined
}

const ofOne: Readonly<Record<string, Verb>> = { GET: 'get', PUT: 'update', PATCH: 'patch', DELETE: 'delete', POST: 'create' }
const ofMany: Readonly<Record<string, Verb>> = { GET: 'list', POST: 'create', DELETE: 'deletecollection' }

/** What a path and a method ask for. Throws NotFound for a path that leads nowhere, MethodNotAllowed for a verb that it does not take. */
export function resourceRoute(
  kinds: readonly KindDef[],
  { path, method, isWatch }: { path: string; method: string; isWatch: boolean },
): ResourceRoute {
  const place = parseRestPath(path)
  const kind = place === undefined ? undefined : kindsByPath(kinds).get(`${place.group}/${place.version}/${place.plural}`)
  if (place === undefined || kind === undefined || place.rest !== undefined) throw noSuchPath()
  if (place.subresource !== undefined && !kind.subresources.includes(place.subresource)) throw noSuchPath()
  if (kind.scope === 'Cluster' && place.namespace !== undefined) throw noSuchPath()
  const { namespace, name, subresource } = place
  return { kind, verb: verbOf(kind, place, { method, isWatch }), namespace, name, subresource }
}

const tables = new WeakMap<readonly KindDef[], ReadonlyMap<string, KindDef>>()

function kindsByPath(kinds: readonly KindDef[]): ReadonlyMap<string, KindDef> {
  const known = tables.get(kinds)
  if (known !== undefined) return known
  const table = new Map(kinds.map((kind) => [`${kind.group}/${kind.version}/${kind.plural}`, kind]))
  tables.set(kinds, table)
  return table
}

function verbOf(
  kind: KindDef,
  { name, namespace, subresource }: ApiPath,
  { method, isWatch }: { method: string; isWatch: boolean },
): ResourceRoute['verb'] {
  const table = name === undefined ? ofMany : ofOne
  const verb = Object.hasOwn(table, method) ? table[method] : undefined
  const isNowhere = name === undefined && namespace === undefined && kind.scope === 'Namespaced' && verb === 'create'
  const isCreateOfOne = name !== undefined && subresource === undefined && verb === 'create'
  if (verb === undefined || isNowhere || isCreateOfOne)
    throw methodNotAllowed('the server does not allow this method on the requested resource')
  return isWatch && (verb === 'list' || (verb === 'get' && subresource === undefined)) ? 'watch' : verb
}
