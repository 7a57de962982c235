import type { Probe } from '../pods/pod-types.ts'

/** What a series of checks has come to. */
export interface ProbeState {
  readonly result: 'unknown' | 'success' | 'failure'
  /** Equal outcomes in a row. */
  readonly run: number
  readonly lastWasOk: boolean
}

export const freshState: ProbeState = { result: 'unknown', run: 0, lastWasOk: true }

/** One more outcome: the result turns when its threshold is reached. Pure. */
export function afterCheck(
  state: ProbeState,
  isOk: boolean,
  probe: Pick<Probe, 'successThreshold' | 'failureThreshold'>,
): ProbeState {
  const run = state.run > 0 && state.lastWasOk === isOk ? state.run + 1 : 1
  const threshold = Math.max(1, isOk ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3))
  const result = run < threshold ? state.result : isOk ? 'success' : 'failure'
  return { result, run, lastWasOk: isOk }
}

export const periodMsOf = ({ periodSeconds = 10 }: Probe): number => Math.max(1, periodSeconds) * 1000
export const timeoutMsOf = ({ timeoutSeconds = 1 }: Probe): number => Math.max(1, timeoutSeconds) * 1000

/** How long after now the first check is due. */
export function firstDelayMs(probe: Probe, ranMs: number, random: number): number {
  const dueMs = (probe.initialDelaySeconds ?? 0) * 1000 - ranMs
  const periodMs = periodMsOf(probe)
  // A container that was adopted: spread over the period, or all of a node's would be probed at the same moment for ever.
  if (ranMs > periodMs) return Math.max(0, dueMs) + random * periodMs
  return Math.max(0, dueMs) + random * Math.min(200, periodMs / 10)
}
