import type { KindDef } from '../../../api/kinds/define.ts'
import type { Namespace as NamespaceObject } from '../../../api/kinds/namespace.ts'
import { Namespace } from '../../../api/kinds/namespace.ts'
import { kindOf, kinds } from '../../../api/kinds/registry.ts'
import type { ApiObject } from '../../../api/meta/object-meta.ts'
import { isConflict, isNotFound, StatusError } from '../../../api/meta/status.ts'
import { type ControllerDef, defineController, type ReconcileContext, watches } from '../../../client/controller.ts'
import { must } from '../../../lib/assert.ts'
import { forEachLimit } from '../../../lib/async.ts'
import { isSameJson } from '../shared/deep-equal.ts'
import type { BuildDeps } from '../shared/deps.ts'
import { type Remaining, terminatingConditions, toDelete } from './plan.ts'

const finalizer = 'kubernetes'
const writesAtOnce = 16
/**
 * What is deleted in one go with its namespace, as by `kubectl delete -f`, is asked for by name right after it, and must
 * still be found; other control planes learn meanwhile that nothing may be made in it. Kubernetes waits 5 s.
 */
const settleMs = 2_000
/** Losing an event only delays. */
const lookAgainMs = 15_000

/** Empties a namespace that is being deleted, and lets it go when nothing is left. */
export function namespaceController({ informers, clock }: BuildDeps): ControllerDef {
  const namespaces = informers.for(Namespace)
  const rooms = kinds.filter((kind) => kind.scope === 'Namespaced')
  const contents = rooms.map((kind) => informers.for(kind))

  /** When a deletion was first seen. Forgetting it, as a restart does, only makes the wait start anew. */
  const seen = new Map<string, { readonly uid: string | undefined; readonly atMs: number }>()
  const settlingMs = (key: string, { metadata: { uid } }: NamespaceObject): number => {
    const known = seen.get(key)
    const since = known?.uid === uid && known !== undefined ? known : { uid, atMs: clock.monotonicMs() }
    seen.set(key, since)
    return since.atMs + settleMs - clock.monotonicMs()
  }

  const isTerminating = (name: string): boolean => namespaces.get(name)?.metadata.deletionTimestamp !== undefined
  const roomOf = ({ metadata: { namespace = '' } }: ApiObject) => (isTerminating(namespace) ? [namespace] : [])

  return defineController({
    name: 'namespace',
    for: Namespace,
    watches: rooms.map((kind) => watches(kind, roomOf)),
    writes: ['namespaces/status'],
    workers: 2,
    async reconcile(key, context) {
      const namespace = namespaces.get(key)
      const finalizers = namespace?.spec?.finalizers ?? []
      if (namespace?.metadata.deletionTimestamp === undefined || !finalizers.includes(finalizer)) {
        seen.delete(key)
        return undefined
      }
      const afterMs = settlingMs(key, namespace)
      if (afterMs > 0) return { afterMs }
      const remaining = contents.map((informer) => ({ plural: informer.kind.plural, objects: informer.list(key) }))
      const failure = await deleteAll(toDelete(remaining), context)
      const isEmpty = remaining.every(({ objects }) => objects.length === 0) && (await isEmptyLive(key, rooms, context))
      if (isEmpty) {
        await finalize(namespace, context)
        return undefined
      }
      await writeStatus(namespace, remaining, { failure, nowMs: clock.now(), context })
      return { afterMs: lookAgainMs }
    },
  })
}

/** Asks all to go, pods with their grace period. Gives why one was refused. */
async function deleteAll(objects: readonly ApiObject[], { client, signal }: ReconcileContext): Promise<string | undefined> {
  let failure: string | undefined
  await forEachLimit(objects, writesAtOnce, async (object) => {
    const kind = must(kindOf(object.apiVersion, object.kind), 'an informer gives objects of served kinds')
    const { namespace = '', name = '', uid = '' } = object.metadata
    try {
      const preconditions = { uid }
      await client.delete(kind, { namespace, name }, { signal, propagationPolicy: 'Background', preconditions })
    } catch (err) {
      if (isNotFound(err) || isConflict(err)) return
      if (!(err instanceof StatusError) || err.status.code >= 500) throw err
      failure = err.message
    }
  })
  return failure
}

/** The cache may lag: a namespace only goes when the server has nothing in it. */
async function isEmptyLive(namespace: string, rooms: readonly KindDef[], { client, signal }: ReconcileContext): Promise<boolean> {
  for (const kind of rooms) {
    const { items } = await client.list(kind, { namespace, limit: 1, signal })
    if (items.length > 0) return false
  }
  return true
}

async function finalize(namespace: NamespaceObject, { client, signal }: ReconcileContext): Promise<void> {
  const finalizers = (namespace.spec?.finalizers ?? []).filter((one) => one !== finalizer)
  try {
    await client.update(Namespace, { ...namespace, spec: { ...namespace.spec, finalizers } }, { signal, subresource: 'finalize' })
  } catch (err) {
    if (!isNotFound(err)) throw err
  }
}

async function writeStatus(
  namespace: NamespaceObject,
  remaining: readonly Remaining[],
  { failure, nowMs, context }: { failure: string | undefined; nowMs: number; context: ReconcileContext },
): Promise<void> {
  const conditions = terminatingConditions(namespace, remaining, { failure, nowMs })
  const status = { ...namespace.status, phase: 'Terminating' as const, conditions }
  if (isSameJson(status, namespace.status)) return
  await context.client.updateStatus(Namespace, { ...namespace, status }, { signal: context.signal })
}
