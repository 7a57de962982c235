import { Namespace } from '../../api/kinds/namespace.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { ApiResponse } from '../../api/meta/request.ts'
import { alreadyExists, badRequest, forbidden, invalidObject, notFound, required } from '../../api/meta/status.ts'
import { formatTime } from '../../lib/clock.ts'
import { nameSuffix, uuid } from '../../lib/random.ts'
import { objectKey } from '../store/keys.ts'
import { answer, type Call, type Deps, joined, withAllocations } from './call.ts'
import { type Change, type Extra, insertObject, nothingElse, type Place, storedAt, type Taken } from './commit.ts'
import { hasGeneration, readBody, refuseWrong, withMeta, withoutMeta } from './prepare.ts'

/** How often a new suffix is drawn when a generated name is in use. */
const namesLimit = 8
/** So that what is made from a generated name can still be a label value. */
const generatedPrefixLimit = 58

export async function create(deps: Deps, call: Call): Promise<ApiResponse> {
  const { kind, namespace, name, body } = call.request
  const { object, warnings } = readBody({ kind, namespace, name }, body, call.options.fieldValidation)
  if ((object.metadata.resourceVersion ?? '') !== '')
    throw badRequest('resourceVersion should not be set on objects to be created')
  const { name: given = '', generateName = '' } = object.metadata
  if (given === '' && generateName === '')
    throw invalidObject(kind, '', [required('metadata.name', 'name or generateName is required')])
  for (let attempt = 0; attempt < namesLimit; attempt++) {
    const chosen = given === '' ? `${generateName.slice(0, generatedPrefixLimit)}${nameSuffix(deps.random)}` : given
    const place: Place = { kind, namespace, name: chosen }
    const fresh = prepared(deps, place, object)
    const inserted = await insertObject(deps, place, (taken) => planned(deps, place, fresh, taken), call.opts)
    if (inserted.done) return answer(inserted.object, { code: 201, warnings })
    if (given !== '') break
  }
  throw alreadyExists(kind, given === '' ? generateName : given)
}

function prepared({ clock, random }: Deps, { kind, name }: Place, object: ApiObject): ApiObject {
  const { strategy } = kind
  const clean = withoutMeta(
    object,
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
    'resourceVersion',
    'selfLink',
  )
  const owned = withMeta(clean, {
    name,
    uid: uuid(random),
    creationTimestamp: formatTime(clock.now()),
    ...(hasGeneration(kind) ? { generation: 1 } : {}),
  })
  // The name may just have been made, and defaults may depend on it.
  const named = object.metadata.name === name ? owned : (strategy.default?.(owned) ?? owned)
  const ready = strategy.prepareForCreate?.(named) ?? named
  refuseWrong(kind, ready, strategy.validate?.(ready) ?? [])
  return ready
}

function planned(deps: Deps, place: Place, object: ApiObject, taken: Taken): Change & { readonly object: ApiObject } {
  const room = livingNamespace(deps, place)
  const { object: filled, extra } = withAllocations(deps, place, { next: object, current: undefined, taken })
  return { object: filled ?? object, extra: joined(extra, room) }
}

/** The namespace stands in the transaction, so that nothing is created in one that is being emptied. */
function livingNamespace({ cache }: Deps, { kind, namespace, name }: Place): Extra {
  if (namespace === undefined) return nothingElse
  const found = cache.get(Namespace, namespace)
  if (found === undefined) throw notFound(Namespace, namespace)
  if (found.metadata.deletionTimestamp !== undefined) {
    throw forbidden(kind, name, `unable to create new content in namespace ${namespace} because it is being terminated`)
  }
  return { conditions: [{ key: objectKey(Namespace, undefined, namespace), modRevision: storedAt(found) }], writes: [] }
}
