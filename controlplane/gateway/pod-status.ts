import { dequal } from 'dequal'
import { Pod } from '../../api/kinds/pod.ts'
import type { PodCondition, PodStatus } from '../../api/kinds/pod-status.ts'
import { badRequest, isConflict, isForbidden, isNotFound } from '../../api/meta/status.ts'
import type { PodStatusReport } from '../../api/proto/agent.ts'
import type { Client } from '../../client/client.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { orUndefined, parseJson, retryConflicts } from './node-registration.ts'

export interface StatusDeps {
  /** Under the node's own identity. */
  readonly client: Client
  /** From the informer, to spare a read; may be old. */
  cached(key: string): Pod | undefined
}

/**
 * Stores what an agent says of a pod; resolves when it is stored or when it no longer matters (the pod is gone, is
 * another one of that name, or is not this node's).
 */
export async function storePodStatus(deps: StatusDeps, node: string, report: PodStatusReport, opts: AbortOptions): Promise<void> {
  try {
    await store(deps, node, report, opts)
  } catch (err) {
    // A node may see and write only pods that are bound to it: one that is gone is forbidden, too.
    if (!isForbidden(err)) throw err
  }
}

async function store({ client, cached }: StatusDeps, node: string, report: PodStatusReport, opts: AbortOptions): Promise<void> {
  const told = parseStatus(report.statusJson)
  const ref = { namespace: report.namespace, name: report.name }
  const isOurs = (pod: Pod | undefined): pod is Pod => pod?.metadata.uid === report.uid && pod.spec.nodeName === node
  let known = cached(`${ref.namespace}/${ref.name}`)
  const isGone = await retryConflicts(async () => {
    const pod = isOurs(known) ? known : await orUndefined(client.get(Pod, ref, opts))
    known = undefined // A second try reads what is there now.
    if (!isOurs(pod)) return true
    const status = mergeStatus(pod.status ?? {}, told)
    if (!dequal(status, pod.status)) await client.updateStatus(Pod, { ...pod, status }, opts)
    return false
  })
  if (isGone || !report.terminated) return
  await removeTerminated({ client, ref, report }, opts)
}

/** Every container is gone: a pod that is being deleted can go for good. One that only ended stays to be looked at. */
async function removeTerminated(
  { client, ref, report }: { client: Client; ref: { namespace: string; name: string }; report: PodStatusReport },
  opts: AbortOptions,
): Promise<void> {
  const pod = await orUndefined(client.get(Pod, ref, opts))
  if (pod?.metadata.deletionTimestamp === undefined || pod.metadata.uid !== report.uid) return
  try {
    await client.delete(Pod, ref, { ...opts, gracePeriodSeconds: 0, preconditions: { uid: report.uid } })
  } catch (err) {
    if (!isNotFound(err) && !isConflict(err)) throw err // Gone already, or another pod by now.
  }
}

/** The agent's word, except where it is not the agent's to say: an end is final, and conditions of others stay. */
export function mergeStatus(before: PodStatus, told: PodStatus): PodStatus {
  const isFinished = before.phase === 'Succeeded' || before.phase === 'Failed'
  if (isFinished && told.phase !== before.phase) return before
  const conditions = mergeConditions(before.conditions ?? [], told.conditions ?? [])
  const kept = { ...(before.qosClass === undefined ? {} : { qosClass: before.qosClass }) }
  const nominated = before.nominatedNodeName === undefined ? {} : { nominatedNodeName: before.nominatedNodeName }
  const start = before.startTime === undefined ? {} : { startTime: before.startTime }
  const counts = countsKept(before, told)
  return {
    ...addressKept(before, told),
    ...told,
    ...counts,
    ...kept,
    ...nominated,
    ...start,
    ...(conditions.length === 0 ? {} : { conditions }),
  }
}

/** What a pod that has ended was reached by; an agent that was started since knows nothing of it. */
const addressKept = ({ phase, podIP, podIPs }: PodStatus, told: PodStatus): Pick<PodStatus, 'podIP' | 'podIPs'> =>
  podIP === undefined || phase !== told.phase || (phase !== 'Succeeded' && phase !== 'Failed')
    ? {}
    : { podIP, ...(podIPs === undefined ? {} : { podIPs }) }

/** Restarts are never undone: an agent counts by the containers that are there, and somebody may have removed some. */
function countsKept(before: PodStatus, told: PodStatus): Pick<PodStatus, 'containerStatuses' | 'initContainerStatuses'> {
  const kept: { -readonly [K in 'containerStatuses' | 'initContainerStatuses']?: NonNullable<PodStatus[K]> } = {}
  for (const list of ['containerStatuses', 'initContainerStatuses'] as const) {
    const counts = new Map(before[list]?.map(({ name, restartCount }) => [name, restartCount]))
    const statuses = told[list]
    if (statuses === undefined) continue
    kept[list] = statuses.map((one) => ({ ...one, restartCount: Math.max(one.restartCount, counts.get(one.name) ?? 0) }))
  }
  return kept
}

function mergeConditions(before: readonly PodCondition[], told: readonly PodCondition[]): readonly PodCondition[] {
  const byType = new Map(before.map((condition) => [condition.type, condition]))
  for (const condition of told) {
    const old = byType.get(condition.type)
    const since = old?.status === condition.status && old.lastTransitionTime !== undefined ? old.lastTransitionTime : undefined
    // PodScheduled is the scheduler's word.
    if (condition.type === 'PodScheduled' && old?.status === condition.status) continue
    byType.set(condition.type, since === undefined ? condition : { ...condition, lastTransitionTime: since })
  }
  return [...byType.values()]
}

function parseStatus(json: string): PodStatus {
  const status = parseJson(json)
  if (typeof status !== 'object' || status === null || Array.isArray(status)) throw badRequest('status_json is not a PodStatus')
  return status as PodStatus // The registry checks each field when it is written.
}
