import type { KindDef } from '../../../api/kinds/define.ts'
import { kindOf, kinds } from '../../../api/kinds/registry.ts'
import { type ApiObject, keyOf, type OwnerReference } from '../../../api/meta/object-meta.ts'
import { isNotFound } from '../../../api/meta/status.ts'
import type { ControllerDef, ReconcileContext, Source } from '../../../client/controller.ts'
import type { Informer } from '../../../client/informer.ts'
import { must } from '../../../lib/assert.ts'
import { forEachLimit } from '../../../lib/async.ts'
import type { BuildDeps } from '../shared/deps.ts'
import { type Collection, foreground, type Owner, type OwnerState, orphan, planCollection } from './plan.ts'

const writesAtOnce = 16
const byUid = 'uid'

/** Removes what nobody owns any more, and carries out deletions that wait for dependents or spare them. */
export function garbageCollectorController(deps: BuildDeps): ControllerDef {
  const collector = new GarbageCollector(deps)
  return {
    name: 'garbage-collector',
    sources: collector.sources,
    reads: [],
    writes: kinds.map((kind) => kind.plural),
    workers: 8,
    reconcile: async (key, context) => {
      await collector.collect(key, context)
      return undefined
    },
  }
}

/** Apart by a character that no name has. */
const gcKey = (object: ApiObject): string => `${object.apiVersion}|${object.kind}|${keyOf(object)}`

class GarbageCollector {
  readonly #deps: BuildDeps
  readonly #informers: readonly Informer<ApiObject>[]
  readonly sources: readonly Source[]

  constructor(deps: BuildDeps) {
    this.#deps = deps
    // Events own nothing and are owned by nothing, and there are many.
    const watched = kinds.filter((kind) => kind.kind !== 'Event')
    this.#informers = watched.map((kind) => deps.informers.for(kind))
    for (const informer of this.#informers) informer.addIndex(byUid, ({ metadata }) => [metadata.uid ?? ''])
    this.sources = watched.map((kind) => ({ kind, keys: (change) => this.#concerned(change.old, change.new) }))
  }

  #concerned(old: ApiObject | undefined, now: ApiObject | undefined): readonly string[] {
    const object = now ?? old
    if (object === undefined) return []
    const keys = isOfInterest(object) ? [gcKey(object)] : []
    // Its going matters to what it owns, and to owners that wait for it.
    if (now !== undefined && now.metadata.deletionTimestamp === undefined) return keys
    const owners = (object.metadata.ownerReferences ?? []).flatMap((ref) => this.#ownerKey(object, ref) ?? [])
    return [...keys, ...owners, ...this.#dependentsOf(object).map(gcKey)]
  }

  #ownerKey(object: ApiObject, ref: OwnerReference): string | undefined {
    const kind = kindOf(ref.apiVersion, ref.kind)
    return kind === undefined ? undefined : `${ref.apiVersion}|${ref.kind}|${placeOf(kind, object, ref)}`
  }

  #dependentsOf({ metadata }: ApiObject): readonly ApiObject[] {
    const { uid = '', namespace } = metadata
    const all = this.#informers.flatMap((informer) => informer.ownedBy(uid))
    // Across namespaces nobody owns anything.
    return namespace === undefined ? all : all.filter((one) => one.metadata.namespace === namespace)
  }

  async collect(key: string, context: ReconcileContext): Promise<void> {
    const [apiVersion = '', kindName = '', objectKey = ''] = key.split('|')
    const kind = must(kindOf(apiVersion, kindName), 'keys are made from served kinds')
    const object = this.#deps.informers.for(kind).get(objectKey)
    if (object === undefined) return
    const isLeaving = object.metadata.deletionTimestamp !== undefined
    const owners: Owner[] = []
    for (const ref of isLeaving ? [] : (object.metadata.ownerReferences ?? [])) {
      owners.push({ ref, state: await this.#stateOf(object, ref, context) })
    }
    await this.#carryOut(
      planCollection(object, owners, (one) => this.#dependentsOf(one)),
      object,
      context,
    )
  }

  /** By the cache where it says that the owner is there; its absence is only believed when read live. */
  async #stateOf(object: ApiObject, ref: OwnerReference, { client, signal }: ReconcileContext): Promise<OwnerState> {
    const kind = kindOf(ref.apiVersion, ref.kind)
    if (kind === undefined) return 'solid' // Not served here: nothing is known about it.
    if (kind.scope === 'Namespaced' && this.#isElsewhere(object, kind, ref)) return 'solid'
    const place = placeOf(kind, object, ref)
    const cached = this.#deps.informers.for(kind).get(place)
    if (cached?.metadata.uid === ref.uid) return stateOf(cached)
    try {
      const { namespace } = object.metadata
      const isInNamespace = kind.scope === 'Namespaced' && namespace !== undefined
      const live = await client.get(kind, { ...(isInNamespace ? { namespace } : {}), name: ref.name }, { signal })
      return live.metadata.uid === ref.uid ? stateOf(live) : 'absent'
    } catch (err) {
      if (isNotFound(err)) return 'absent'
      throw err
    }
  }

  /** An owner in another namespace counts for nothing, and must not cost the object its life either. */
  #isElsewhere(object: ApiObject, kind: KindDef, ref: OwnerReference): boolean {
    const { namespace } = object.metadata
    const found = this.#deps.informers.for(kind).byIndex(byUid, ref.uid)[0]
    const isElsewhere = namespace === undefined || (found !== undefined && found.metadata.namespace !== namespace)
    if (isElsewhere) {
      const message = `ownerRef [${ref.apiVersion}/${ref.kind}, name: ${ref.name}, uid: ${ref.uid}] does not exist in namespace "${namespace ?? ''}"`
      this.#deps.events.record(object, { type: 'Warning', reason: 'OwnerRefInvalidNamespace', message })
    }
    return isElsewhere
  }

  async #carryOut(plan: Collection, object: ApiObject, context: ReconcileContext): Promise<void> {
    switch (plan.do) {
      case 'nothing':
        return
      case 'delete':
        return remove(object, plan.policy, context)
      case 'drop references':
        return dropReferences(object, plan.uids, context)
      case 'orphan dependents':
        return forEachLimit(plan.dependents, writesAtOnce, (one) => dropReferences(one, [object.metadata.uid ?? ''], context))
      case 'delete dependents':
        // Each is judged for itself: it may have other owners.
        return forEachLimit(plan.dependents, writesAtOnce, (one) => this.collect(gcKey(one), context))
      case 'remove finalizer':
        return removeFinalizer(object, plan.finalizer, context)
    }
  }
}

function isOfInterest({ metadata }: ApiObject): boolean {
  const { ownerReferences = [], finalizers = [], deletionTimestamp } = metadata
  return (
    ownerReferences.length > 0 ||
    (deletionTimestamp !== undefined && finalizers.some((one) => one === orphan || one === foreground))
  )
}

function stateOf({ metadata }: ApiObject): OwnerState {
  const isWaiting = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).includes(foreground)
  return isWaiting ? 'waiting' : 'solid'
}

function placeOf(kind: KindDef, dependent: ApiObject, ref: OwnerReference): string {
  const { namespace } = dependent.metadata
  return kind.scope === 'Namespaced' && namespace !== undefined ? `${namespace}/${ref.name}` : ref.name
}

const kindOfObject = (object: ApiObject): KindDef =>
  must(kindOf(object.apiVersion, object.kind), 'an informer gives objects of served kinds')

function refOf({ metadata }: ApiObject) {
  const { namespace, name = '' } = metadata
  return { ...(namespace === undefined ? {} : { namespace }), name }
}

async function remove(
  object: ApiObject,
  propagationPolicy: 'Background' | 'Foreground' | 'Orphan',
  { client, log, signal }: ReconcileContext,
): Promise<void> {
  const { uid = '', resourceVersion = '' } = object.metadata
  try {
    // Its revision too: it may have been adopted meanwhile.
    const preconditions = { uid, resourceVersion }
    await client.delete(kindOfObject(object), refOf(object), { signal, propagationPolicy, preconditions })
    log.debug('object without owner deleted', { kind: object.kind, name: keyOf(object) })
  } catch (err) {
    if (!isNotFound(err)) throw err
  }
}

async function dropReferences(object: ApiObject, uids: readonly string[], { client, signal }: ReconcileContext): Promise<void> {
  const { uid, resourceVersion, ownerReferences = [] } = object.metadata
  const left = ownerReferences.filter((ref) => !uids.includes(ref.uid))
  const body = { metadata: { uid, resourceVersion, ownerReferences: left } }
  await client.patch(kindOfObject(object), refOf(object), { type: 'merge', body }, { signal }).catch((err: unknown) => {
    if (!isNotFound(err)) throw err
  })
}

async function removeFinalizer(object: ApiObject, finalizer: string, { client, signal }: ReconcileContext): Promise<void> {
  const { uid, resourceVersion, finalizers = [] } = object.metadata
  const body = { metadata: { uid, resourceVersion, finalizers: finalizers.filter((one) => one !== finalizer) } }
  try {
    await client.patch(kindOfObject(object), refOf(object), { type: 'merge', body }, { signal })
  } catch (err) {
    if (!isNotFound(err)) throw err
  }
}
