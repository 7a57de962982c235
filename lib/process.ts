import { readFileSync } from 'node:fs'
import process from 'node:process'
import { type Clock, clockOf } from './clock.ts'
import type { Log } from './log.ts'

export class Stopped extends Error {
  override readonly name = 'AbortError'
}

/** The root signal of a program: the first SIGTERM or SIGINT aborts it, the second ends the process at once. */
export function rootSignal(log: Log): AbortSignal {
  const controller = new AbortController()
  const stop = (name: string): void => {
    if (controller.signal.aborted) process.exit(1)
    log.info('stopping', { by: name })
    controller.abort(new Stopped(`stopped by ${name}`))
  }
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGINT', () => stop('SIGINT'))
  return controller.signal
}

/** The clock of a program. */
export function processClock(): Clock {
  return clockOf(process.env, (file) => {
    try {
      return readFileSync(file, 'utf8')
    } catch {
      return '' // No test moves it now.
    }
  })
}
