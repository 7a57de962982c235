import { sleep } from '../../lib/async.ts'
import { runCommand } from '../probes/exec-check.ts'
import { httpCheck } from '../probes/http-check.ts'
import { messageOf, type PodContext } from './context.ts'
import { type Container, type LifecycleHandler, namedPorts } from './pod-types.ts'

export interface HookPlace {
  readonly id: string
  readonly container: Container
}

/** A postStart hook without an end would leave the container unready for ever. */
const postStartDeadlineMs = 600_000

/** Runs a postStart hook once; a failure makes the next step restart the container. */
export async function runPostStart(context: PodContext, { id, container }: HookPlace, signal: AbortSignal): Promise<void> {
  const hook = container.lifecycle?.postStart
  try {
    if (hook !== undefined) {
      const work = (inner: AbortSignal): Promise<void> => runHook(context, hook, { id, container }, inner)
      await context.deadline(postStartDeadlineMs, 'postStart', signal, work)
    }
    context.memory.postStart.set(id, 'done')
  } catch (err) {
    signal.throwIfAborted()
    context.memory.postStart.set(id, 'failed')
    context.event('Warning', 'FailedPostStartHook', `PostStartHook failed: ${messageOf(err)}`, container.name)
  }
}

/** Runs a preStop hook within the grace period; its failure does not keep the container from being stopped. */
export async function runPreStop(context: PodContext, place: HookPlace, graceMs: number, signal: AbortSignal): Promise<void> {
  const hook = place.container.lifecycle?.preStop
  if (hook === undefined || graceMs <= 0) return
  try {
    await context.deadline(graceMs, 'preStop', signal, (inner) => runHook(context, hook, place, inner))
  } catch (err) {
    signal.throwIfAborted()
    context.event('Warning', 'FailedPreStopHook', `PreStopHook failed: ${messageOf(err)}`, place.container.name)
  }
}

async function runHook(
  context: PodContext,
  hook: LifecycleHandler,
  { id, container }: HookPlace,
  signal: AbortSignal,
): Promise<void> {
  const { runtime, clock } = context.deps
  if (hook.sleep !== undefined) await sleep(clock, hook.sleep.seconds * 1000, signal)
  if (hook.exec !== undefined) {
    const { exitCode, output } = await runCommand(runtime, id, hook.exec.command ?? [], { signal })
    if (exitCode !== 0) throw new Error(`command exited with ${exitCode}: ${output}`)
  }
  if (hook.httpGet === undefined) return
  const ports = namedPorts(container)
  const result = await httpCheck(
    hook.httpGet,
    { podIp: context.memory.sandbox?.ip ?? context.pod?.status?.podIP ?? '', ports },
    { signal },
  )
  if (!result.isOk) throw new Error(result.message)
}
