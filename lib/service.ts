import { aborted, isAbort, sleep } from './async.ts'
import type { Backoff } from './backoff.ts'
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'

/** Runs for long. `run` resolves when aborted and rejects when it wants to be restarted. */
export interface Service {
  readonly name: string
  run(signal: AbortSignal): Promise<void>
}

export interface SuperviseOptions {
  readonly clock: Clock
  readonly log: Log
  readonly backoff: Backoff
  readonly signal: AbortSignal
}

/** Keeps `service` running until aborted: whatever ends it early, it is started again after a back-off. */
export async function supervise(service: Service, { clock, log, backoff, signal }: SuperviseOptions): Promise<void> {
  while (!signal.aborted) {
    try {
      await service.run(signal)
    } catch (err) {
      if (!isAbort(err, signal)) log.error('service failed', { service: service.name, err })
    }
    if (signal.aborted) return
    await sleep(clock, backoff.next(service.name), signal).catch(() => undefined) // Aborted: the loop ends.
  }
}

/**
 * Runs groups of services: all of one group are started before the next, and are stopped in reverse order, each
 * group within `drainMs`. Resolves when all have ended.
 */
export async function superviseGroups(
  groups: readonly (readonly Service[])[],
  { drainMs, ...options }: SuperviseOptions & { drainMs: number },
): Promise<void> {
  const running = groups.map((services) => {
    const controller = new AbortController()
    const names = new Set(services.map(({ name }) => name))
    const all = services.map(async (service) => {
      await supervise(service, { ...options, signal: controller.signal })
      names.delete(service.name)
    })
    return { controller, names, ended: Promise.all(all) }
  })
  await aborted(options.signal)
  for (const { controller, names, ended } of running.reverse()) {
    controller.abort(options.signal.reason)
    if (!(await endsWithin(ended, drainMs, options.clock)))
      options.log.warn('services do not end, going on without them', { services: [...names], drainMs })
  }
}

/** False: not yet. The timer goes in any case: one that stays would keep the process from ending. */
async function endsWithin(ended: Promise<unknown>, limitMs: number, clock: Clock): Promise<boolean> {
  const late = Promise.withResolvers<false>()
  using _ = clock.after(limitMs, () => late.resolve(false))
  return await Promise.race([ended.then(() => true), late.promise])
}
