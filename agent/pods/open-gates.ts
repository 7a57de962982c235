import type { ContainerState } from '../runtime/runtime.ts'
import type { PodContext } from './context.ts'
import { annotationKeys } from './view.ts'

const openDeadlineMs = 30_000

/** Lets the commands begin of containers that wait at their gates. Each is looked at once by each agent. */
export async function openGates(context: PodContext, states: readonly ContainerState[], signal: AbortSignal): Promise<void> {
  const { memory, deps } = context
  for (const state of states) {
    const { [annotationKeys.gate]: hostname } = state.annotations
    if (hostname === undefined || state.status !== 'running' || memory.opened.has(state.id) || memory.shut.has(state.id)) continue
    const hasBegun = await context.deadline(openDeadlineMs, 'open the gate', signal, (inner) =>
      deps.sandboxes.open(state, hostname, { signal: inner, isNamed: memory.named.has(state.id) }),
    )
    if (hasBegun) memory.opened.add(state.id)
    else {
      deps.log.info('a gate could not become its command', { podUid: context.uid, container: state.identity.container })
      memory.shut.add(state.id)
      memory.ungated.add(state.identity.container)
    }
  }
}
