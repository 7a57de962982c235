import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { ApiResponse, PatchType } from '../../api/meta/request.ts'
import { badRequest } from '../../api/meta/status.ts'
import type { Json, JsonObject } from '../../api/patch/json.ts'
import { applyJsonPatch } from '../../api/patch/json-patch.ts'
import { applyMergePatch } from '../../api/patch/merge-patch.ts'
import { applyStrategicMerge } from '../../api/patch/strategic-merge.ts'
import { answer, type Call, type Deps, isNamespace, placeOf, withAllocations } from './call.ts'
import { type Change, changeObject, type Outcome, type Place, type Taken } from './commit.ts'
import { isDone } from './delete.ts'
import { checkVersion, fieldsOf, isSame, readBody, statusUpdated, updated } from './prepare.ts'

/** `update` and `patch` of an object, of its status and of a namespace's finalizers: they differ in where the new state comes from. */
export async function update(deps: Deps, call: Call): Promise<ApiResponse> {
  const place = placeOf(call)
  const { object, warnings } = readBody(place, call.request.body, call.options.fieldValidation)
  const outcome = await changeObject(
    deps,
    place,
    (current, taken) => stored(deps, { call, place, given: object, current, taken }),
    call.opts,
  )
  return answer(outcome.object, { warnings })
}

export async function patch(deps: Deps, call: Call): Promise<ApiResponse> {
  const place = placeOf(call)
  let warnings: readonly string[] = []
  const outcome: Outcome = await changeObject(
    deps,
    place,
    (current, taken) => {
      const read = readBody(place, patched(call, current), call.options.fieldValidation)
      warnings = read.warnings
      return stored(deps, { call, place, given: read.object, current, taken })
    },
    call.opts,
  )
  return answer(outcome.object, { warnings })
}

/** The current state with the request's patch applied to it. */
export function patched({ request }: Call, current: unknown): Json {
  // Objects are JSON values.
  const target = current as JsonObject
  const body = request.body as Json
  const type: PatchType | undefined = request.patchType
  switch (type) {
    case 'json':
      return applyJsonPatch(target, body)
    case 'merge':
      if (typeof body !== 'object' || body === null || Array.isArray(body)) throw badRequest('a merge patch is an object')
      return applyMergePatch(target, body)
    case 'strategic':
      return applyStrategicMerge(request.kind.schema, target, body)
    case undefined:
      throw badRequest('a patch has a type: json, merge or strategic')
  }
}

interface Update {
  readonly call: Call
  readonly place: Place
  readonly given: ApiObject
  readonly current: ApiObject
  readonly taken: Taken
}

function stored(deps: Deps, { call, place, given, current, taken }: Update): Change | undefined {
  const next = nextState(call, given, current)
  if (isSame(next, current)) return undefined
  // The last finalizer of an object that is being deleted takes it away.
  if (isDone(place.kind, next)) return withAllocations(deps, place, { next: undefined, current, taken })
  return withAllocations(deps, place, { next, current, taken })
}

function nextState({ request }: Call, given: ApiObject, current: ApiObject): ApiObject {
  const { kind, subresource } = request
  if (subresource === undefined) return updated(kind, given, current)
  if (subresource === 'status') return statusUpdated(kind, given, current)
  if (subresource === 'finalize' && isNamespace(kind)) return finalized(request.kind, given, current)
  throw badRequest(`${kind.plural}/${subresource} cannot be updated`)
}

function finalized(kind: Call['request']['kind'], given: ApiObject, current: ApiObject): ApiObject {
  checkVersion(kind, given, current)
  const { spec } = fieldsOf(given)
  const next = { ...current, spec: spec ?? {} }
  return next
}
