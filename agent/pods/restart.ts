import type { ContainerRole, ContainerState } from '../runtime/runtime.ts'
import { type Container, initContainersOf, type Pod, type RestartPolicy, restartPolicyOf } from './pod-types.ts'
import { type Attempt, newestOf, type PodView } from './view.ts'

const firstDelayMs = 10_000
const maxDelayMs = 300_000
/** A run of this length ends a series of crashes. */
const goodRunMs = 600_000

/** What a container that could not be started counts as having exited with (Kubernetes: StartError). */
export const startErrorExitCode = 128

export const exitCodeOf = ({ exitCode, error, startedMs }: ContainerState): number => {
  if (error !== undefined && startedMs === undefined)
    return exitCode === undefined || exitCode === 0 ? startErrorExitCode : exitCode
  return exitCode ?? 137
}

/** Init containers under `Always` are run until they succeed. */
export function isRestarted(policy: RestartPolicy, role: ContainerRole, state: ContainerState): boolean {
  if (policy === 'Never') return false
  return (policy === 'Always' && role === 'app') || exitCodeOf(state) !== 0
}

/** The back-off after a container that was the `streak`-th quick restart: none, then 10 s, doubling to 5 min. */
export function crashDelayMs({ streak, ranMs }: Attempt): number {
  if (streak === 0 || ranMs >= goodRunMs) return 0
  return Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(streak - 1, 16))
}

/** When the attempt after this dead one may start, monotonic. One that died with its sandbox is not to blame. */
export function restartAtMs(attempt: Attempt, liveSandboxId: string | undefined): number {
  if (liveSandboxId !== undefined && attempt.sandboxId !== liveSandboxId) return 0
  return (attempt.endedMs ?? 0) + crashDelayMs(attempt)
}

export interface NextAttempt {
  readonly attempt: number
  readonly streak: number
}

export function attemptAfter(last: Attempt | undefined, liveSandboxId: string | undefined): NextAttempt {
  if (last === undefined) return { attempt: 0, streak: 0 }
  const attempt = last.state.identity.attempt + 1
  if (last.sandboxId !== liveSandboxId) return { attempt, streak: last.streak }
  return { attempt, streak: last.ranMs >= goodRunMs ? 1 : last.streak + 1 }
}

/** Ended for good under the pod's policy. */
export function isOver(pod: Pod, role: ContainerRole, attempt: Attempt | undefined): boolean {
  return attempt?.isDead === true && !isRestarted(restartPolicyOf(pod), role, attempt.state)
}

/** The init container whose failure ends a pod that is not restarted. */
export function failedInit({ pod, seen }: PodView): Container | undefined {
  if (restartPolicyOf(pod) !== 'Never') return undefined
  return initContainersOf(pod).find(({ name }) => {
    const newest = newestOf(seen, name)
    return newest?.isDead === true && exitCodeOf(newest.state) !== 0
  })
}

/** Nothing of the pod runs or will run again. */
export function isFinished(view: PodView): boolean {
  const { pod, seen } = view
  if (failedInit(view) !== undefined) return [...seen.attempts.values()].every(([newest]) => newest?.isDead === true)
  return pod.spec.containers.every(({ name }) => isOver(pod, 'app', newestOf(seen, name)))
}
