import type { KindDef } from '../../../api/kinds/define.ts'
import { type ApiObject, controllerOf, controllerRef, type OwnerReference } from '../../../api/meta/object-meta.ts'
import type { LabelMatcher } from '../../../api/meta/selector.ts'
import { isInvalid, isNotFound } from '../../../api/meta/status.ts'
import type { Client } from '../../../client/client.ts'
import type { AbortOptions } from '../../../lib/async.ts'

export interface Claims<O extends ApiObject> {
  /** Ours already, and matching. */
  readonly owned: readonly O[]
  /** Nobody's, and matching. */
  readonly adopt: readonly O[]
  /** Ours, but no longer matching. */
  readonly release: readonly O[]
}

/** Who belongs to `owner`: by controller reference (UID) and selector, never by name or labels alone. */
export function planClaims<O extends ApiObject>(owner: ApiObject, matches: LabelMatcher, candidates: readonly O[]): Claims<O> {
  const owned: O[] = []
  const adopt: O[] = []
  const release: O[] = []
  const isLeaving = owner.metadata.deletionTimestamp !== undefined
  for (const one of candidates) {
    const controller = controllerOf(one)
    const isMatching = matches(one.metadata.labels)
    if (controller?.uid === owner.metadata.uid) {
      if (isMatching) owned.push(one)
      else if (!isLeaving) release.push(one)
    } else if (controller === undefined && isMatching && !isLeaving && one.metadata.deletionTimestamp === undefined)
      adopt.push(one)
  }
  return { owned, adopt, release }
}

/**
 * Writes the references. Before adopting, the owner is read live: a deleted owner, or one that was made anew under the
 * same name, must not gain anything. Returns whether anything was written; the next look then sees it.
 */
export async function carryOutClaims<O extends ApiObject, W extends ApiObject>(
  { kind, claims, owner, ownerKind }: { kind: KindDef<O>; claims: Claims<O>; owner: W; ownerKind: KindDef<W> },
  client: Client,
  opts: AbortOptions,
): Promise<boolean> {
  const { adopt, release } = claims
  if (adopt.length > 0 && (await isStillThere(owner, ownerKind, { client, ...opts }))) {
    for (const one of adopt)
      await setOwners(
        { kind, object: one, owners: [...(one.metadata.ownerReferences ?? []), controllerRef(owner)] },
        client,
        opts,
      )
  }
  for (const one of release) {
    const others = (one.metadata.ownerReferences ?? []).filter((ref) => ref.uid !== owner.metadata.uid)
    await setOwners({ kind, object: one, owners: others }, client, opts)
  }
  return adopt.length + release.length > 0
}

async function isStillThere<W extends ApiObject>(
  owner: W,
  kind: KindDef<W>,
  { client, signal }: AbortOptions & { client: Client },
): Promise<boolean> {
  try {
    const { namespace, name = '' } = owner.metadata
    const live = await client.get(kind, { ...(namespace === undefined ? {} : { namespace }), name }, { signal })
    return live.metadata.uid === owner.metadata.uid && live.metadata.deletionTimestamp === undefined
  } catch (err) {
    if (isNotFound(err)) return false
    throw err
  }
}

async function setOwners<O extends ApiObject>(
  { kind, object, owners }: { kind: KindDef<O>; object: O; owners: readonly OwnerReference[] },
  client: Client,
  opts: AbortOptions,
): Promise<void> {
  const { namespace, name = '', uid, resourceVersion } = object.metadata
  try {
    await client.patch(
      kind,
      { ...(namespace === undefined ? {} : { namespace }), name },
      // The UID guards against an object made anew under the same name, the revision against changes in between.
      { type: 'merge', body: { metadata: { uid, resourceVersion, ownerReferences: owners } } },
      opts,
    )
  } catch (err) {
    if (!isNotFound(err) && !isInvalid(err)) throw err // Gone or another one by now: nothing to claim.
  }
}
