import { parseTime } from '../../../lib/clock.ts'
import { type ContainerState, RuntimeError } from '../runtime.ts'
import { runcWords } from './errors.ts'
import { annotationsOf, identityOf } from './labels.ts'
import { isTrue, number, text, textMap } from './read.ts'

/** What an inspect says, in our words. Undefined when it is no container of Skiff's. */
export function containerState(inspect: unknown, wasOutOfMemory: (id: string) => boolean): ContainerState | undefined {
  const labels = textMap(inspect, 'Config', 'Labels')
  const identity = identityOf(labels, text(inspect, 'Name'))
  const id = text(inspect, 'Id')
  if (identity === undefined || id === '') return undefined
  const status = statusOf(inspect, id)
  const error = text(inspect, 'State', 'Error')
  const pid = number(inspect, 'State', 'Pid')
  const startedMs = timeOf(text(inspect, 'State', 'StartedAt'))
  const hasEnded = status === 'exited' || (status === 'created' && error !== '')
  return {
    id,
    identity,
    status,
    ...(text(inspect, 'State', 'Status') === 'paused' && { isPaused: true }),
    image: text(inspect, 'Config', 'Image'),
    imageId: text(inspect, 'Image'),
    createdMs: parseTime(text(inspect, 'Created')) ?? 0,
    startedMs,
    finishedMs: status === 'running' ? undefined : notBefore(startedMs, timeOf(text(inspect, 'State', 'FinishedAt'))),
    exitCode: hasEnded ? (number(inspect, 'State', 'ExitCode') ?? -1) : undefined,
    oomKilled: isTrue(inspect, 'State', 'OOMKilled') || wasOutOfMemory(id),
    error: error === '' ? undefined : runcWords(error),
    pid: status === 'running' && pid !== undefined && pid > 0 ? pid : undefined,
    annotations: annotationsOf(labels),
  }
}

/**
 * Paused and restarting count as running, `dead` and `removing` as ended. What the engine does not say is not guessed:
 * a container that is taken for one that ended gets a successor beside it.
 */
function statusOf(inspect: unknown, id: string): ContainerState['status'] {
  const said = text(inspect, 'State', 'Status')
  if (said === 'created') return 'created'
  if (['exited', 'dead', 'removing'].includes(said)) return 'exited'
  if (['running', 'paused', 'restarting'].includes(said) || isTrue(inspect, 'State', 'Running')) return 'running'
  throw new RuntimeError('Unavailable', `the engine says of container ${id.slice(0, 12)} that it is "${said.slice(0, 40)}"`)
}

/** The engine writes the year 1 for "never". */
function timeOf(value: string): number | undefined {
  const ms = parseTime(value)
  return ms === undefined || ms <= 0 ? undefined : ms
}

/** The engine notes a start after the fact, so that a short run can end before it began. */
function notBefore(startedMs: number | undefined, finishedMs: number | undefined): number | undefined {
  return startedMs === undefined || finishedMs === undefined ? finishedMs : Math.max(startedMs, finishedMs)
}
