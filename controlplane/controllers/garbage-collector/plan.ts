import type { ApiObject, OwnerReference } from '../../../api/meta/object-meta.ts'

/** `solid`: it exists. `waiting`: it is being deleted, and waits for its dependents. `absent`: nothing has its UID. */
export type OwnerState = 'solid' | 'waiting' | 'absent'

export interface Owner {
  readonly ref: OwnerReference
  readonly state: OwnerState
}

export const foreground = 'foregroundDeletion'
export const orphan = 'orphan'

export type Collection =
  | { readonly do: 'nothing' }
  /** Nobody owns it any more. */
  | { readonly do: 'delete'; readonly policy: 'Background' | 'Foreground' | 'Orphan' }
  /** Somebody still owns it: only the references to those that are gone go. */
  | { readonly do: 'drop references'; readonly uids: readonly string[] }
  /** It is going, and its dependents stay. */
  | { readonly do: 'orphan dependents'; readonly dependents: readonly ApiObject[] }
  /** It is going after its dependents; these are not yet asked to go. */
  | { readonly do: 'delete dependents'; readonly dependents: readonly ApiObject[] }
  | { readonly do: 'remove finalizer'; readonly finalizer: string }

/** What is to be done about one object. `dependentsOf` is asked about dependents that wait for their own. */
export function planCollection(
  object: ApiObject,
  owners: readonly Owner[],
  dependentsOf: (object: ApiObject) => readonly ApiObject[],
): Collection {
  const dependents = dependentsOf(object)
  const { deletionTimestamp, finalizers = [] } = object.metadata
  if (deletionTimestamp === undefined) return planLiving(object, owners, dependents)
  if (finalizers.includes(orphan)) {
    return dependents.length > 0 ? { do: 'orphan dependents', dependents } : { do: 'remove finalizer', finalizer: orphan }
  }
  if (!finalizers.includes(foreground)) return { do: 'nothing' }
  const asked = dependents.filter((one) => one.metadata.deletionTimestamp === undefined)
  if (asked.length > 0) return { do: 'delete dependents', dependents: asked }
  const isBlocked = blockersOf(object, dependents).some((one) => !waitsFor(one, object, dependentsOf))
  return isBlocked ? { do: 'nothing' } : { do: 'remove finalizer', finalizer: foreground }
}

const blockersOf = (owner: ApiObject, dependents: readonly ApiObject[]): readonly ApiObject[] =>
  dependents.filter(({ metadata }) =>
    metadata.ownerReferences?.some((ref) => ref.uid === owner.metadata.uid && ref.blockOwnerDeletion === true),
  )

/** Whether `object` cannot go before `goal` has gone: they own each other, and neither would ever be first. */
function waitsFor(object: ApiObject, goal: ApiObject, dependentsOf: (object: ApiObject) => readonly ApiObject[]): boolean {
  const seen = new Set<string | undefined>()
  const open = [object]
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    const { uid, deletionTimestamp, finalizers = [] } = one.metadata
    if (uid === goal.metadata.uid) return true
    if (seen.has(uid) || deletionTimestamp === undefined || !finalizers.includes(foreground)) continue
    seen.add(uid)
    open.push(...blockersOf(one, dependentsOf(one)))
  }
  return false
}

function planLiving(object: ApiObject, owners: readonly Owner[], dependents: readonly ApiObject[]): Collection {
  if (owners.length === 0) return { do: 'nothing' }
  const leaving = owners.filter(({ state }) => state !== 'solid')
  if (leaving.length === 0) return { do: 'nothing' }
  if (leaving.length < owners.length) return { do: 'drop references', uids: leaving.map(({ ref }) => ref.uid) }
  const { finalizers = [] } = object.metadata
  if (finalizers.includes(orphan)) return { do: 'delete', policy: 'Orphan' }
  const isAwaited = leaving.some(({ state, ref }) => state === 'waiting' && ref.blockOwnerDeletion === true)
  const isForeground = finalizers.includes(foreground) || (isAwaited && dependents.length > 0)
  return { do: 'delete', policy: isForeground ? 'Foreground' : 'Background' }
}
