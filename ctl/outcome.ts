import type { Deployment } from '../api/kinds/deployment.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { ContainerStatus } from '../api/kinds/pod-status.ts'

/** How far a thing is: pure, from what is there. `why` names what stands in the way, one reason a line. */
export interface Outcome {
  readonly state: 'done' | 'waiting' | 'failed'
  readonly line: string
  readonly why: readonly string[]
  /** Pods that are on their way, for when that takes too long. */
  readonly pending?: readonly string[]
}

/** Kubernetes: the words of `rollout status`. */
export function deploymentOutcome(deployment: Deployment, pods: readonly Pod[]): Outcome {
  const { metadata, spec, status } = deployment
  const name = metadata.name ?? ''
  const wanted = spec.replicas ?? 1
  const updated = status?.updatedReplicas ?? 0
  const total = status?.replicas ?? 0
  const available = status?.availableReplicas ?? 0
  const why = troubles(pods)
  const waiting = (line: string): Outcome => ({
    state: 'waiting',
    line: `Waiting for deployment "${name}" rollout to finish: ${line}...`,
    why,
    pending: onTheirWay(pods),
  })
  if ((status?.observedGeneration ?? 0) < (metadata.generation ?? 0))
    return { state: 'waiting', line: 'Waiting for deployment spec update to be observed...', why: [] }
  const progressing = status?.conditions?.find(({ type }) => type === 'Progressing')
  if (progressing?.reason === 'ProgressDeadlineExceeded')
    return { state: 'failed', line: `error: deployment "${name}" exceeded its progress deadline`, why }
  if (updated < wanted) return waiting(`${updated} out of ${wanted} new replicas have been updated`)
  if (total > updated) return waiting(`${total - updated} old replicas are pending termination`)
  if (available < updated) return waiting(`${available} of ${updated} updated replicas are available`)
  return { state: 'done', line: `deployment "${name}" successfully rolled out`, why: [] }
}

/** A bare pod is done when it is ready, or has ended well. */
export function podOutcome(pod: Pod): Outcome {
  const name = pod.metadata.name ?? ''
  const phase = pod.status?.phase
  const isReady = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
  if (isReady || phase === 'Succeeded')
    return { state: 'done', line: `pod "${name}" ${isReady ? 'is ready' : 'has succeeded'}`, why: [] }
  if (phase === 'Failed') return { state: 'failed', line: `error: pod "${name}" has failed`, why: troubles([pod]) }
  return { state: 'waiting', line: `Waiting for pod "${name}" to be ready...`, why: troubles([pod]), pending: onTheirWay([pod]) }
}

/** Why pods are not running, most frequent first, each reason once with an example. */
export function troubles(pods: readonly Pod[]): readonly string[] {
  const reasons = new Map<string, { count: number; pod: string }>()
  for (const pod of pods) {
    const reason = troubleOf(pod)
    if (reason === undefined) continue
    const seen = reasons.get(reason)
    reasons.set(reason, { count: (seen?.count ?? 0) + 1, pod: seen?.pod ?? pod.metadata.name ?? '' })
  }
  return [...reasons]
    .sort(([, a], [, b]) => b.count - a.count)
    .map(([reason, { count, pod }]) => `pod ${pod}${count > 1 ? ` and ${count - 1} more` : ''}: ${reason}`)
}

/** Pods that wait for something that takes its time, as pulling an image does. */
function onTheirWay(pods: readonly Pod[]): readonly string[] {
  return pods.flatMap(({ metadata, spec, status }) => {
    const waiting = status?.containerStatuses?.find(({ state }) => passing.has(state?.waiting?.reason ?? ''))
    if (waiting === undefined || metadata.deletionTimestamp !== undefined) return []
    const image = spec.containers.find(({ name }) => name === waiting.name)?.image
    return [`pod ${metadata.name}: container "${waiting.name}" ${waiting.state?.waiting?.reason}, image "${image}"`]
  })
}

const passing = new Set(['ContainerCreating', 'PodInitializing'])

function troubleOf(pod: Pod): string | undefined {
  if (pod.metadata.deletionTimestamp !== undefined) return undefined
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled')
  if (scheduled?.status === 'False') return `${scheduled.reason ?? 'not scheduled'}: ${scheduled.message ?? ''}`
  for (const status of [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]) {
    const trouble = containerTrouble(status)
    if (trouble !== undefined) return trouble
  }
  return pod.status?.phase === 'Failed'
    ? [pod.status.reason, pod.status.message].filter((text) => text !== undefined).join(': ') || 'failed'
    : undefined
}

function containerTrouble({ name, state, lastState }: ContainerStatus): string | undefined {
  const waiting = state?.waiting
  if (waiting?.reason !== undefined && !passing.has(waiting.reason)) {
    const last = lastState?.terminated
    const before =
      last === undefined ? '' : ` (last exit code ${last.exitCode}${last.reason === undefined ? '' : `, ${last.reason}`})`
    return `container "${name}" ${waiting.reason}${waiting.message === undefined ? '' : `: ${waiting.message}`}${before}`
  }
  const ended = state?.terminated
  if (ended === undefined || ended.exitCode === 0) return undefined
  return `container "${name}" exited with code ${ended.exitCode}${ended.reason === undefined ? '' : ` (${ended.reason})`}${ended.message === undefined ? '' : `: ${ended.message}`}`
}
