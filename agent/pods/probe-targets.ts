import type { ProbeTarget } from './deps.ts'
import { type Container, namedPorts } from './pod-types.ts'
import { isInLiveSandbox, liveSandbox, newestOf, type PodView } from './view.ts'

/** The pod's running app containers, as the probes need to know them. */
export function probeTargets(view: PodView, wallMs: number): readonly ProbeTarget[] {
  const podIp = liveSandbox(view)?.ip ?? ''
  const targets: ProbeTarget[] = []
  for (const container of view.pod.spec.containers) {
    const newest = newestOf(view.seen, container.name)
    if (newest?.state.status !== 'running' || podIp === '' || !isInLiveSandbox(view, newest)) continue
    const { state } = newest
    targets.push({
      containerId: state.id,
      container: container.name,
      podIp,
      probes: probesOf(container),
      ports: namedPorts(container),
      ranMs: state.startedMs === undefined ? 0 : Math.max(0, wallMs - state.startedMs),
      was: stored(view, state.id),
      isStopping: view.memory.stop !== undefined || view.memory.activities.get(container.name)?.kind === 'stop',
    })
  }
  return targets
}

function stored({ pod }: PodView, id: string): ProbeTarget['was'] {
  const found = pod.status?.containerStatuses?.find(({ containerID }) => containerID === `docker://${id}`)
  return { isReady: found?.ready === true, isStarted: found?.started === true }
}

const probesOf = ({ startupProbe, livenessProbe, readinessProbe }: Container): ProbeTarget['probes'] => ({
  ...(startupProbe === undefined ? {} : { startup: startupProbe }),
  ...(livenessProbe === undefined ? {} : { liveness: livenessProbe }),
  ...(readinessProbe === undefined ? {} : { readiness: readinessProbe }),
})
