import { badRequest, notFound } from '../../api/meta/status.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { DesiredState } from '../contracts.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { Sightings } from './observe.ts'
import { containersOf, initContainersOf, nameOf, type Pod, type PodStatus, restartPolicyOf } from './pod-types.ts'
import { isRestarted } from './restart.ts'
import type { Attempt } from './view.ts'

export interface ContainerRefOnNode {
  readonly podUid: string
  readonly container: string
  /** The run before the one that is shown now. */
  readonly previous: boolean
}

export interface ContainerIdDeps {
  readonly runtime: Pick<Runtime, 'listPod'>
  readonly desired: Pick<DesiredState, 'pod'>
  readonly clock: Clock
  /** What this agent last said of a pod. */
  readonly statusOf: (podUid: string) => PodStatus | undefined
}

const pods = { group: '', plural: 'pods', kind: 'Pod' }

/** Finds the engine's container for a log or an exec. Throws a StatusError that says why there is none. */
export function createContainerIds({ runtime, desired, clock, statusOf }: ContainerIdDeps) {
  return async ({ podUid, container, previous }: ContainerRefOnNode, opts: AbortOptions): Promise<string> => {
    const pod = desired.pod(podUid)
    if (pod === undefined) throw notFound(pods, podUid)
    if (!containersOf(pod).some(({ name }) => name === container))
      throw badRequest(`container ${container} is not valid for pod ${nameOf(pod)}`)
    const attempts = new Sightings(clock).observe(await runtime.listPod(podUid, opts)).attempts.get(container) ?? []
    const found = previous
      ? previousOf(pod, attempts)
      : attempts.find(({ state, isDead }) => state.status === 'running' || isDead)
    if (found !== undefined) return found.state.id
    if (previous) throw badRequest(`previous terminated container "${container}" in pod "${nameOf(pod)}" not found`)
    throw badRequest(
      `container "${container}" in pod "${nameOf(pod)}" is waiting to start: ${whyWaiting(pod, statusOf(podUid) ?? pod.status, container)}`,
    )
  }
}

/** While a dead container waits to be run again it is the previous one already (Kubernetes: lastState). */
function previousOf(pod: Pod, [newest, before]: readonly Attempt[]): Attempt | undefined {
  if (newest === undefined) return undefined
  const isWaiting = newest.isDead && isRestarted(restartPolicyOf(pod), newest.state.identity.role, newest.state)
  return isWaiting ? newest : before
}

function whyWaiting(pod: Pod, status: PodStatus | undefined, container: string): string {
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
  const reason = statuses.find(({ name }) => name === container)?.state?.waiting?.reason
  if (reason === 'ErrImagePull') return "image can't be pulled"
  if (reason === 'ImagePullBackOff') return 'trying and failing to pull image'
  return reason ?? (initContainersOf(pod).length > 0 ? 'PodInitializing' : 'ContainerCreating')
}
