import type { Pod as PodObject } from '../../../api/kinds/pod.ts'
import { Pod } from '../../../api/kinds/pod.ts'
import type { ReplicaSet as ReplicaSetObject, ReplicaSetStatus } from '../../../api/kinds/replica-set.ts'
import { ReplicaSet } from '../../../api/kinds/replica-set.ts'
import { controllerOf, keyOf } from '../../../api/meta/object-meta.ts'
import { labelSelector } from '../../../api/meta/selector.ts'
import { isConflict, isNotFound, StatusError } from '../../../api/meta/status.ts'
import { type ControllerDef, defineController, owned, type ReconcileContext, watches } from '../../../client/controller.ts'
import { forEachLimit } from '../../../lib/async.ts'
import { carryOutClaims, planClaims } from '../shared/claims.ts'
import { isSameJson } from '../shared/deep-equal.ts'
import type { BuildDeps } from '../shared/deps.ts'
import { batchSizes, type Failure, planReplicaSet, podOf, type ReplicaSetPlan, withFailure } from './plan.ts'

/** Index of the pods that nobody controls, by namespace. */
const orphans = 'orphans'
const writesAtOnce = 16
/** Refused by the API: quotas and the like end without telling us. */
const failureAgainMs = 5000

/** Keeps the number of pods that a ReplicaSet wants. */
export function replicaSetController(deps: BuildDeps): ControllerDef {
  const replicaSets = deps.informers.for(ReplicaSet)
  const pods = deps.informers.for(Pod)
  pods.addIndex(orphans, (pod) => (controllerOf(pod) === undefined ? [pod.metadata.namespace ?? ''] : []))

  const relatedTo = (replicaSet: ReplicaSetObject, own: readonly PodObject[]): readonly PodObject[] => {
    const owner = controllerOf(replicaSet)
    if (owner === undefined) return own
    return replicaSets.ownedBy(owner.uid).flatMap((one) => pods.ownedBy(one.metadata.uid ?? ''))
  }

  return defineController({
    name: 'replicaset',
    for: ReplicaSet,
    watches: [
      owned(Pod, ReplicaSet),
      // A pod that nobody controls may be adopted by each set of its namespace that selects it.
      watches(Pod, (pod) => (controllerOf(pod) === undefined ? selecting(replicaSets.list(pod.metadata.namespace), pod) : [])),
    ],
    writes: ['pods', 'replicasets/status'],
    workers: 5,
    async reconcile(key, context) {
      const replicaSet = replicaSets.get(key)
      if (replicaSet === undefined) return undefined
      const { client, signal } = context
      const { uid = '', namespace = '' } = replicaSet.metadata
      const candidates = [...pods.ownedBy(uid), ...pods.byIndex(orphans, namespace)]
      const claims = planClaims(replicaSet, labelSelector(replicaSet.spec.selector), candidates)
      const isClaiming = await carryOutClaims({ kind: Pod, claims, owner: replicaSet, ownerKind: ReplicaSet }, client, { signal })
      if (isClaiming) return { afterMs: 0 }
      const nowMs = deps.clock.now()
      const plan = planReplicaSet({ replicaSet, pods: claims.owned, related: relatedTo(replicaSet, claims.owned), nowMs })
      const failure = await carryOut(plan, replicaSet, { deps, context })
      await writeStatus(replicaSet, withFailure(plan.status, failure, nowMs), context)
      const againMs = failure === undefined ? plan.againMs : failureAgainMs
      return againMs === undefined ? undefined : { afterMs: againMs }
    },
  })
}

function selecting(replicaSets: readonly ReplicaSetObject[], pod: PodObject): readonly string[] {
  return replicaSets.filter((one) => labelSelector(one.spec.selector)(pod.metadata.labels)).map(keyOf)
}

interface Doing {
  readonly deps: BuildDeps
  readonly context: ReconcileContext
}

/** What the API refuses becomes a condition; anything else is thrown and tried again. */
async function carryOut(plan: ReplicaSetPlan, replicaSet: ReplicaSetObject, doing: Doing): Promise<Failure | undefined> {
  const attempt = async (reason: Failure['reason'], work: () => Promise<void>): Promise<Failure | undefined> => {
    try {
      await work()
      return undefined
    } catch (err) {
      if (!(err instanceof StatusError) || err.status.code >= 500) throw err
      return { reason, message: err.message }
    }
  }
  return (
    (await attempt('FailedCreate', () => createPods(plan.create, replicaSet, doing))) ??
    (await attempt('FailedDelete', () => deletePods(plan.delete, replicaSet, doing)))
  )
}

async function createPods(count: number, replicaSet: ReplicaSetObject, { deps, context }: Doing): Promise<void> {
  const { client, signal } = context
  for (const size of batchSizes(count)) {
    await forEachLimit(Array.from({ length: size }), writesAtOnce, async () => {
      try {
        const made = await client.create(Pod, podOf(replicaSet), { signal })
        const message = `Created pod: ${made.metadata.name ?? ''}`
        deps.events.record(replicaSet, { type: 'Normal', reason: 'SuccessfulCreate', message })
      } catch (err) {
        if (!signal.aborted) {
          const message = `Error creating: ${err instanceof Error ? err.message : String(err)}`
          deps.events.record(replicaSet, { type: 'Warning', reason: 'FailedCreate', message })
        }
        throw err
      }
    })
  }
}

async function deletePods(victims: readonly PodObject[], replicaSet: ReplicaSetObject, { deps, context }: Doing): Promise<void> {
  const { client, signal } = context
  await forEachLimit(victims, writesAtOnce, async ({ metadata }) => {
    const { namespace = '', name = '', uid = '' } = metadata
    try {
      await client.delete(Pod, { namespace, name }, { signal, preconditions: { uid } })
      deps.events.record(replicaSet, { type: 'Normal', reason: 'SuccessfulDelete', message: `Deleted pod: ${name}` })
    } catch (err) {
      if (!isNotFound(err) && !isConflict(err)) throw err // Gone by other hands.
    }
  })
}

async function writeStatus(
  replicaSet: ReplicaSetObject,
  status: ReplicaSetStatus,
  { client, signal }: ReconcileContext,
): Promise<void> {
  if (isSameJson(status, replicaSet.status)) return
  try {
    await client.updateStatus(ReplicaSet, { ...replicaSet, status }, { signal })
  } catch (err) {
    if (!isNotFound(err)) throw err
  }
}
