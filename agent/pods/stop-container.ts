import { messageOf, type PodContext } from './context.ts'
import { runPreStop } from './hooks.ts'
import { containersOf } from './pod-types.ts'
import type { StopTarget } from './step.ts'

/** What a container is given after its preStop hook used up the grace (Kubernetes: minimumGracePeriodInSeconds). */
const leastGraceMs = 2_000
/** For the engine to answer after the grace. */
const slackMs = 30_000

/** preStop hook, SIGTERM, and SIGKILL when the grace is over. Failing is noted and tried again. */
export async function stopContainer(context: PodContext, target: StopTarget, signal: AbortSignal): Promise<void> {
  const { runtime, clock } = context.deps
  const { id, container: name, graceMs } = target
  const key = `stop/${name}`
  const endsMs = clock.monotonicMs() + graceMs
  const container = context.pod === undefined ? undefined : findContainer(context.pod, name)
  if (container !== undefined) await runPreStop(context, { id, container }, graceMs, signal)
  const leftMs = graceMs === 0 ? 0 : Math.max(leastGraceMs, endsMs - clock.monotonicMs())
  try {
    await context.deadline(leftMs + slackMs, 'stop', signal, (inner) => runtime.stop(id, leftMs, { signal: inner }))
    context.clear(key)
  } catch (err) {
    signal.throwIfAborted()
    context.event('Warning', 'FailedKillPod', `error killing container ${name}: ${messageOf(err)}`, name)
    context.wait(key, 'FailedKillPod', messageOf(err))
  }
}

const findContainer = (pod: NonNullable<PodContext['pod']>, name: string) =>
  containersOf(pod).find((container) => container.name === name)
