import { type AbortOptions, TimeoutError, withDeadline } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { ProbeTarget } from '../pods/deps.ts'
import type { Probe } from '../pods/pod-types.ts'
import { type Runtime, RuntimeError } from '../runtime/runtime.ts'
import { runCommand } from './exec-check.ts'
import { type CheckResult, failed, httpCheck, passed } from './http-check.ts'
import { timeoutMsOf } from './probe-state.ts'
import { tcpCheck } from './tcp-check.ts'

/** How long an engine that is well takes to say so, on a busy machine. */
const engineMs = 5_000

export interface CheckDeps {
  readonly runtime: Pick<Runtime, 'exec' | 'info'>
  readonly clock: Clock
}

/** One check, within the probe's timeout. Throws when nothing can be said about the container: the engine is in trouble. */
export async function check(
  { runtime, clock }: CheckDeps,
  probe: Probe,
  target: ProbeTarget,
  { signal }: AbortOptions,
): Promise<CheckResult> {
  const ms = timeoutMsOf(probe)
  try {
    return await withDeadline({ clock, ms, signal, what: 'probe' }, (inner) =>
      checkOnce(runtime, probe, target, { signal: inner }),
    )
  } catch (err) {
    signal.throwIfAborted()
    // Nothing of it answers, also not a command that cannot be run in it.
    if (err instanceof RuntimeError && err.code === 'Conflict' && /is paused/.test(err.message))
      return failed('the container is paused')
    if (!(err instanceof TimeoutError)) throw err
    // A command's answer comes through the engine: when that is silent, nobody knows how the container is.
    if (probe.exec !== undefined)
      await withDeadline({ clock, ms: engineMs, signal, what: 'the engine' }, (inner) => runtime.info({ signal: inner }))
    return failed(timeoutMessage(probe, ms))
  }
}

async function checkOnce(
  runtime: CheckDeps['runtime'],
  probe: Probe,
  target: ProbeTarget,
  opts: AbortOptions,
): Promise<CheckResult> {
  if (probe.httpGet !== undefined) return await httpCheck(probe.httpGet, target, opts)
  if (probe.tcpSocket !== undefined) return await tcpCheck(probe.tcpSocket, target, opts)
  if (probe.exec === undefined) return passed
  const { exitCode, output } = await runCommand(runtime, target.containerId, probe.exec.command ?? [], opts)
  return exitCode === 0 ? passed : failed(output === '' ? `command exited with ${exitCode}` : output)
}

function timeoutMessage({ exec, httpGet }: Probe, ms: number): string {
  const after = `${ms / 1000}s`
  if (exec !== undefined) return `command timed out: "${(exec.command ?? []).join(' ')}" timed out after ${after}`
  return `${httpGet === undefined ? 'dial tcp' : 'Get'}: no answer within ${after}`
}
