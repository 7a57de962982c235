import type { KindDef } from '../../api/kinds/define.ts'
import type { ApiList, ApiObject } from '../../api/meta/object-meta.ts'
import type { ApiResponse, DeleteOptions, RequestOptions } from '../../api/meta/request.ts'
import { badRequest, conflict, forbidden, isNotFound } from '../../api/meta/status.ts'
import { forEachLimit } from '../../lib/async.ts'
import { formatTime, parseTime } from '../../lib/clock.ts'
import { objectKey } from '../store/keys.ts'
import { answer, type Call, type Deps, isNamespace, placeOf, success, withAllocations } from './call.ts'
import { type Change, changeObject, type Outcome, type Place, placeKey, type Taken } from './commit.ts'
import { fieldsOf, isSame, withGeneration, withMeta, withoutMeta } from './prepare.ts'
import { readList } from './read.ts'

const foreground = 'foregroundDeletion'
const orphan = 'orphan'
const lasting = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

export async function remove(deps: Deps, call: Call): Promise<ApiResponse> {
  const place = placeOf(call)
  if (await removeUnreadable(deps, call, place)) return answer(success(place))
  const outcome = await removeOne(deps, call, place)
  // What lives on for a while is shown as it is now.
  return answer(outcome.type === 'deleted' ? success(place, outcome.object) : outcome.object)
}

const parallelDeletes = 16

export async function removeCollection(deps: Deps, call: Call): Promise<ApiResponse> {
  const { limit: _, continue: __, preconditions: ___, ...options } = call.options
  const list: ApiList = await readList(deps, { ...call.request, options }, call.opts)
  await forEachLimit(list.items, parallelDeletes, async ({ metadata }) => {
    const place: Place = { kind: call.request.kind, namespace: metadata.namespace, name: metadata.name ?? '' }
    const preconditions = metadata.uid === undefined ? {} : { uid: metadata.uid }
    try {
      await removeOne(deps, { ...call, options: { ...options, preconditions } }, place)
    } catch (err) {
      if (!isNotFound(err)) throw err
    }
  })
  return answer(list)
}

/**
 * A damaged value holds no finalizers and no uid that could be looked at: who names it wants it gone. Only by name; what
 * goes through lists, such as the emptying of a namespace, does not see it.
 */
async function removeUnreadable({ store, cache, log }: Deps, { options, opts }: Call, place: Place): Promise<boolean> {
  if (options.preconditions !== undefined || isNamespace(place.kind)) return false
  await cache.ready(opts)
  const damage = cache.unreadable(place.kind, placeKey(place))
  if (damage === undefined) return false
  if (opts.dryRun) return true
  const key = objectKey(place.kind, place.namespace, place.name)
  const conditions = [{ key, modRevision: damage.modRevision }, ...(opts.fence === undefined ? [] : [opts.fence])]
  const result = await store.commit({ conditions, writes: [{ delete: key }] }, opts)
  await cache.waitFor(result.revision, opts)
  if (result.committed) log.warn('a value that could not be read was deleted', { key })
  return result.committed
}

function removeOne(deps: Deps, { options, opts }: Call, place: Place): Promise<Outcome> {
  checkOptions(options)
  if (isNamespace(place.kind) && lasting.includes(place.name))
    throw forbidden(place.kind, place.name, 'this namespace may not be deleted')
  return changeObject(deps, place, (current, taken) => planned(deps, { place, current, options, taken }), opts)
}

function checkOptions({ gracePeriodSeconds: grace, propagationPolicy: policy }: RequestOptions): void {
  if (grace !== undefined && !Number.isSafeInteger(grace))
    throw badRequest(`gracePeriodSeconds: Invalid value: ${grace}: must be a whole number`)
  if (policy !== undefined && !['Foreground', 'Background', 'Orphan'].includes(policy)) {
    throw badRequest(`propagationPolicy: Unsupported value: "${policy}": supported values: "Foreground", "Background", "Orphan"`)
  }
}

interface Removal {
  readonly place: Place
  readonly current: ApiObject
  readonly options: DeleteOptions
  readonly taken: Taken
}

function planned(deps: Deps, { place, current, options, taken }: Removal): Change | undefined {
  checkPreconditions(place.kind, current, options)
  const next = marked(place.kind, current, { options, nowMs: deps.clock.now() })
  if (isDone(place.kind, next)) return withAllocations(deps, place, { next: undefined, current, taken })
  return isSame(next, current) ? undefined : { object: next }
}

function checkPreconditions(kind: KindDef, { metadata }: ApiObject, { preconditions = {} }: DeleteOptions): void {
  const { uid, resourceVersion } = preconditions
  const name = metadata.name ?? ''
  if (uid !== undefined && uid !== metadata.uid) {
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`)
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    throw conflict(
      kind,
      name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`,
    )
  }
}

/** The object with the mark of its deletion: when it is due to be gone, and who has to let go first. */
function marked(kind: KindDef, current: ApiObject, { options, nowMs }: { options: DeleteOptions; nowMs: number }): ApiObject {
  const policed = withFinalizers(current, options.propagationPolicy)
  const grace = graceOf(kind, current, options)
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = current.metadata
  // A deletion can be hastened and never be put off.
  if (deletionTimestamp !== undefined && grace >= deletionGracePeriodSeconds) return policed
  const startMs =
    deletionTimestamp === undefined
      ? nowMs
      : Math.min(nowMs, (parseTime(deletionTimestamp) ?? nowMs) - deletionGracePeriodSeconds * 1000)
  const dueMs = deletionTimestamp === undefined ? nowMs + grace * 1000 : Math.max(nowMs, startMs + grace * 1000)
  const due = withMeta(policed, { deletionTimestamp: formatTime(dueMs), deletionGracePeriodSeconds: grace })
  const bumped = current.metadata.generation === undefined || deletionTimestamp !== undefined ? due : withGeneration(due, current)
  return isNamespace(kind) ? terminating(bumped) : bumped
}

function terminating(namespace: ApiObject): ApiObject {
  const { status } = fieldsOf(namespace)
  const before = typeof status === 'object' && status !== null ? status : {}
  const changed = { ...namespace, status: { ...before, phase: 'Terminating' } }
  return changed
}

function graceOf({ strategy }: KindDef, object: ApiObject, { gracePeriodSeconds }: DeleteOptions): number {
  const own = strategy.deleteGraceSeconds?.(object) ?? 0
  // 0: there is nobody who would use the time.
  if (own === 0 || gracePeriodSeconds === undefined) return Math.min(own, longestGrace)
  return gracePeriodSeconds < 0 ? 1 : Math.min(gracePeriodSeconds, longestGrace)
}

/** Some 30 years, so that the time when an object is due to be gone can still be written. */
const longestGrace = 1_000_000_000

function withFinalizers(object: ApiObject, policy: DeleteOptions['propagationPolicy']): ApiObject {
  if (policy === undefined) return object
  const others = (object.metadata.finalizers ?? []).filter((one) => one !== foreground && one !== orphan)
  const added = policy === 'Foreground' ? [foreground] : policy === 'Orphan' ? [orphan] : []
  const finalizers = [...others, ...added]
  return finalizers.length === 0 ? withoutMeta(object, 'finalizers') : withMeta(object, { finalizers })
}

/** Whether nothing holds an object back any longer. */
export function isDone(kind: KindDef, object: ApiObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds > 0 || finalizers.length > 0) return false
  if (!isNamespace(kind)) return true
  const { spec } = fieldsOf(object)
  const own: unknown = typeof spec === 'object' && spec !== null ? Reflect.get(spec, 'finalizers') : undefined
  return !Array.isArray(own) || own.length === 0
}
