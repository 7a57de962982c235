import process from 'node:process'

/** Asked before each piece of work of which there may be many at once. */
export interface Turns {
  /** Undefined when the work may begin now; else it resolves in a later turn of the event loop, in the order of asking. */
  pass(): Promise<void> | undefined
  /** Always waits for a later turn, behind all who wait already. For work whose effort shows only after it has begun. */
  next(): Promise<void>
}

/** For where time does not pass while work is done, as in the simulator. */
export const endlessTurns: Turns = { pass: () => undefined, next: () => Promise.resolve() }

/** So long may what is begun in one turn take before the rest waits; what has begun is not interrupted. */
const budgetMs = 8
/** With what does not ask a turn can be longer. So that it does not starve those who do, they get half as much then. */
const mostMs = 20

/** Seen from a promise: when all others that were resolved have been followed. */
const promisesDone = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve))

/**
 * Keeps turns of the event loop short. A busy server has work for many callers at once; done in one turn, it would keep
 * heartbeats, other callers and timers waiting for all of it. So whoever begins a piece of work asks, and when this turn
 * has had its time, waits for the next.
 */
export function createTurns(nowMs: () => number = () => performance.now()): Turns {
  const waiting: (() => void)[] = []
  let startMs: number | undefined
  const begin = async (): Promise<void> => {
    const now = nowMs()
    const shareMs = Math.min(Math.max(budgetMs, (now - (startMs ?? now)) / 2), mostMs)
    startMs = waiting.length > 0 ? now : undefined
    if (startMs === undefined) return
    setImmediate(begin)
    await promisesDone()
    while (waiting.length > 0 && nowMs() - now < shareMs) {
      waiting.shift()?.()
      // What it resumes runs now, up to where it waits for something else.
      await promisesDone()
    }
  }
  const beginSoon = (): number => {
    if (startMs !== undefined) return startMs
    setImmediate(begin)
    return nowMs()
  }
  const wait = (): Promise<void> => new Promise((resolve) => void waiting.push(resolve))
  return {
    pass() {
      startMs = beginSoon()
      return waiting.length === 0 && nowMs() - startMs < budgetMs ? undefined : wait()
    },
    next() {
      startMs = beginSoon()
      return wait()
    },
  }
}
