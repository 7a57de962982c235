import { Service } from '../../api/kinds/service.ts'
import type { ApiRequest, ApiResponse, Identity } from '../../api/meta/request.ts'
import { badRequest, methodNotAllowed, noSuchPath } from '../../api/meta/status.ts'
import { parseRanges, ServiceAllocator } from './allocate.ts'
import { type Attributes, authorize, denied } from './authorize.ts'
import { bind } from './binding.ts'
import { answer, type Call, type Deps, isNamespace, placeOf } from './call.ts'
import { create } from './create.ts'
import { remove, removeCollection } from './delete.ts'
import type { CallOptions, Registry, RegistryOptions } from './options.ts'
import { readList, readObject } from './read.ts'
import { getScale, updateScale } from './scale.ts'
import { patch, update } from './update.ts'
import { watchObjects } from './watch.ts'

type Handler = (deps: Deps, call: Call) => Promise<ApiResponse>

/** What reads and writes mean: who may, defaults, rules, deletion, allocation; stored in one transaction each. */
export function createRegistry(options: RegistryOptions): Registry {
  const ranges = parseRanges(options)
  const deps: Deps = { ...options, services: new ServiceAllocator(ranges, () => options.cache.list(Service)) }
  return {
    kinds: options.kinds,
    async request(identity, request, opts) {
      check(deps, identity, request)
      return handlerOf(request)(deps, callOf(request, opts))
    },
    watch(identity, request, opts) {
      check(deps, identity, { ...request, verb: 'watch' })
      return watchObjects(deps.cache, request, opts)
    },
    decide: (identity, asked) => authorize(options.cache, identity, asked),
  }
}

function callOf(request: ApiRequest, opts: CallOptions): Call {
  const { options = {} } = request
  return { request, options, opts: { ...opts, dryRun: options.dryRun === true } }
}

function check(
  { cache }: Deps,
  identity: Identity,
  request: Omit<ApiRequest, 'verb'> & { verb: ApiRequest['verb'] | 'watch'; fieldSelector?: string },
): void {
  const { verb, kind, namespace, name, subresource, body, options } = request
  checkScope(request)
  const asked: Attributes = {
    verb,
    kind,
    namespace,
    name,
    subresource,
    body,
    fieldSelector: request.fieldSelector ?? options?.fieldSelector,
  }
  const decision = authorize(cache, identity, asked)
  if (!decision.allowed) throw denied(identity, asked, decision.reason)
}

const wide = ['list', 'watch', 'deletecollection']

function checkScope({ kind, namespace, verb, name }: Pick<ApiRequest, 'kind' | 'namespace' | 'name'> & { verb: string }): void {
  if (namespace !== undefined && kind.scope === 'Cluster') throw noSuchPath()
  if (
    namespace === undefined &&
    kind.scope === 'Namespaced' &&
    (!wide.includes(verb) || (verb === 'deletecollection' && name === undefined))
  ) {
    throw badRequest(`${kind.plural} live in a namespace, and the request names none`)
  }
  // These would become parts of storage keys.
  for (const part of [namespace, name])
    if (part?.includes('/') === true || part === '') throw badRequest(`"${part}" cannot be a name`)
}

const verbs: Readonly<Record<ApiRequest['verb'], Handler>> = {
  get: readOne,
  list: async (deps, { request, opts }) => answer(await readList(deps, request, opts)),
  create,
  update,
  patch,
  delete: remove,
  deletecollection: removeCollection,
}

async function readOne(deps: Deps, call: Call): Promise<ApiResponse> {
  const { name } = placeOf(call)
  return answer(await readObject(deps, { ...call.request, name }, call.opts))
}

/** By subresource, the verbs that it takes. */
const subresources: Readonly<Record<string, Partial<Record<ApiRequest['verb'], Handler>>>> = {
  status: { get: readOne, update, patch },
  scale: { get: getScale, update: updateScale, patch: updateScale },
  binding: { create: bind },
  finalize: { update },
}

function handlerOf({ verb, kind, subresource }: ApiRequest): Handler {
  if (subresource === undefined) {
    if (verb === 'deletecollection' && isNamespace(kind)) throw methodNotAllowed('namespaces are deleted one by one')
    return verbs[verb]
  }
  const table =
    kind.subresources.includes(subresource) && Object.hasOwn(subresources, subresource) ? subresources[subresource] : undefined
  if (table === undefined) throw noSuchPath()
  const handler = table[verb]
  if (handler === undefined) throw methodNotAllowed(`${kind.plural}/${subresource} does not take the verb ${verb}`)
  return handler
}
