import type { KindDef } from '../api/kinds/define.ts'
import type { ApiObject } from '../api/meta/object-meta.ts'
import type { AbortOptions } from '../lib/async.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import type { Service } from '../lib/service.ts'
import type { Client } from './client.ts'
import { createInformer, type Informer } from './informer.ts'

/** One informer per kind for a whole process. Ask for all of them before `services` is read. */
export interface Informers {
  for<O extends ApiObject>(kind: KindDef<O>): Informer<O>
  /** Those asked for so far, to be run. */
  readonly services: readonly Service[]
  waitForSync(opts: AbortOptions): Promise<void>
  /** Resolves when all have reached `revision`, as after an election. */
  waitFor(revision: number, opts: AbortOptions): Promise<void>
}

export function createInformers(deps: {
  readonly client: Pick<Client, 'list' | 'watch'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}): Informers {
  const byKind = new Map<string, Informer<never>>()
  const all = (): readonly Informer<never>[] => [...byKind.values()]
  return {
    for<O extends ApiObject>(kind: KindDef<O>): Informer<O> {
      const id = `${kind.apiVersion}/${kind.plural}`
      const known = byKind.get(id)
      if (known !== undefined) return known as unknown as Informer<O>
      const informer = createInformer({ ...deps, kind })
      byKind.set(id, informer as unknown as Informer<never>)
      return informer
    },
    get services() {
      return all()
    },
    async waitForSync(opts) {
      await Promise.all(all().map((informer) => informer.waitForSync(opts)))
    },
    async waitFor(revision, opts) {
      await Promise.all(all().map((informer) => informer.waitFor(revision, opts)))
    },
  }
}
