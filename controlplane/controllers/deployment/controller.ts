import type { Deployment as DeploymentObject } from '../../../api/kinds/deployment.ts'
import { Deployment } from '../../../api/kinds/deployment.ts'
import { Pod } from '../../../api/kinds/pod.ts'
import type { ReplicaSet as ReplicaSetObject } from '../../../api/kinds/replica-set.ts'
import { ReplicaSet } from '../../../api/kinds/replica-set.ts'
import { controllerOf, keyOf } from '../../../api/meta/object-meta.ts'
import { labelSelector } from '../../../api/meta/selector.ts'
import { isAlreadyExists, isNotFound } from '../../../api/meta/status.ts'
import { type ControllerDef, defineController, owned, type ReconcileContext, watches } from '../../../client/controller.ts'
import { carryOutClaims, planClaims } from '../shared/claims.ts'
import { isSameJson } from '../shared/deep-equal.ts'
import type { BuildDeps } from '../shared/deps.ts'
import { isFinished } from '../shared/pods.ts'
import { type DeploymentPlan, planDeployment, type SetChange } from './plan.ts'
import { hasTemplateOf } from './template.ts'

/** Keeps the ReplicaSets of Deployments and moves pods from old ones to the newest. */
export function deploymentController(deps: BuildDeps): ControllerDef {
  const deployments = deps.informers.for(Deployment)
  const replicaSets = deps.informers.for(ReplicaSet)
  const pods = deps.informers.for(Pod)
  replicaSets.addIndex(orphans, (one) => (controllerOf(one) === undefined ? [one.metadata.namespace ?? ''] : []))

  const hasPods = (sets: readonly ReplicaSetObject[]): boolean =>
    sets.some((one) => pods.ownedBy(one.metadata.uid ?? '').some((pod) => !isFinished(pod)))

  return defineController({
    name: 'deployment',
    for: Deployment,
    watches: [
      owned(ReplicaSet, Deployment),
      watches(ReplicaSet, (one) =>
        controllerOf(one) === undefined
          ? deployments
              .list(one.metadata.namespace)
              .filter((d) => labelSelector(d.spec.selector)(one.metadata.labels))
              .map(keyOf)
          : [],
      ),
      // Recreate waits until the last old pod is gone.
      watches(Pod, (pod) => {
        const set = replicaSets.get(`${pod.metadata.namespace ?? ''}/${controllerOf(pod)?.name ?? ''}`)
        const owner = set === undefined ? undefined : controllerOf(set)
        const deployment = owner === undefined ? undefined : deployments.get(`${pod.metadata.namespace ?? ''}/${owner.name}`)
        return deployment?.spec.strategy?.type === 'Recreate' ? [keyOf(deployment)] : []
      }),
    ],
    writes: ['replicasets', 'deployments', 'deployments/status'],
    workers: 5,
    async reconcile(key, context) {
      const deployment = deployments.get(key)
      if (deployment === undefined) return undefined
      const { client, signal } = context
      const { uid = '', namespace = '' } = deployment.metadata
      const candidates = [...replicaSets.ownedBy(uid), ...replicaSets.byIndex(orphans, namespace)]
      const claims = planClaims(deployment, labelSelector(deployment.spec.selector), candidates)
      const isClaiming = await carryOutClaims({ kind: ReplicaSet, claims, owner: deployment, ownerKind: Deployment }, client, {
        signal,
      })
      if (isClaiming) return { afterMs: 0 }
      const own = claims.owned
      const hasOldPods = (newSet: ReplicaSetObject | undefined): boolean => hasPods(own.filter((one) => one !== newSet))
      const plan = planDeployment({ deployment, replicaSets: own, hasOldPods, nowMs: deps.clock.now() })
      await carryOut(plan, deployment, { deps, context })
      return plan.againMs === undefined ? undefined : { afterMs: plan.againMs }
    },
  })
}

/** Index of the sets that nobody controls, by namespace. */
const orphans = 'orphans'

interface Doing {
  readonly deps: BuildDeps
  readonly context: ReconcileContext
}

async function carryOut(plan: DeploymentPlan, deployment: DeploymentObject, doing: Doing): Promise<void> {
  const { client, signal } = doing.context
  const collided = plan.create === undefined ? false : await createSet(plan.create, deployment, doing)
  for (const change of plan.change) await changeSet(change, deployment, doing)
  for (const { metadata } of plan.forget) {
    const { namespace = '', name = '', uid = '', resourceVersion = '' } = metadata
    await client.delete(ReplicaSet, { namespace, name }, { signal, preconditions: { uid, resourceVersion } })
  }
  const { collisionCount = 0 } = plan.status
  await writeStatus(deployment, collided ? { ...plan.status, collisionCount: collisionCount + 1 } : plan.status, doing.context)
  if (plan.revision !== undefined) await writeRevision(plan.revision, deployment, doing.context)
}

/** Gives true when a foreign set has the name: the next hash takes the number of collisions in. */
async function createSet(replicaSet: ReplicaSetObject, deployment: DeploymentObject, { deps, context }: Doing): Promise<boolean> {
  const { client, signal } = context
  const { namespace = '', name = '' } = replicaSet.metadata
  try {
    await client.create(ReplicaSet, replicaSet, { signal })
    const message = `Scaled up replica set ${name} from 0 to ${replicaSet.spec.replicas ?? 0}`
    deps.events.record(deployment, { type: 'Normal', reason: 'ScalingReplicaSet', message })
    return false
  } catch (err) {
    if (!isAlreadyExists(err)) throw err
    const live = await client.get(ReplicaSet, { namespace, name }, { signal })
    const isOurs = controllerOf(live)?.uid === deployment.metadata.uid && hasTemplateOf(live, deployment)
    return !isOurs
  }
}

async function changeSet(change: SetChange, deployment: DeploymentObject, { deps, context }: Doing): Promise<void> {
  const { replicaSet, annotations, replicas, minReadySeconds } = change
  const { namespace = '', name = '', uid, resourceVersion } = replicaSet.metadata
  const body = {
    metadata: { uid, resourceVersion, annotations },
    spec: { replicas, ...(minReadySeconds === undefined ? {} : { minReadySeconds }) },
  }
  await context.client.patch(ReplicaSet, { namespace, name }, { type: 'merge', body }, { signal: context.signal })
  const before = replicaSet.spec.replicas ?? 1
  if (before === replicas) return
  const message = `Scaled ${replicas > before ? 'up' : 'down'} replica set ${name} from ${before} to ${replicas}`
  deps.events.record(deployment, { type: 'Normal', reason: 'ScalingReplicaSet', message })
}

async function writeStatus(
  deployment: DeploymentObject,
  status: DeploymentPlan['status'],
  { client, signal }: ReconcileContext,
): Promise<void> {
  if (isSameJson(status, deployment.status)) return
  try {
    await client.updateStatus(Deployment, { ...deployment, status }, { signal })
  } catch (err) {
    if (!isNotFound(err)) throw err
  }
}

async function writeRevision(
  revision: string,
  { metadata }: DeploymentObject,
  { client, signal }: ReconcileContext,
): Promise<void> {
  const { namespace = '', name = '', uid } = metadata
  const body = { metadata: { uid, annotations: { 'deployment.kubernetes.io/revision': revision } } }
  await client.patch(Deployment, { namespace, name }, { type: 'merge', body }, { signal })
}
