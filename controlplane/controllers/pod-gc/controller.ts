import { Node } from '../../../api/kinds/node.ts'
import { Pod } from '../../../api/kinds/pod.ts'
import { isConflict, isNotFound } from '../../../api/meta/status.ts'
import type { ControllerDef, ReconcileContext } from '../../../client/controller.ts'
import { watches } from '../../../client/controller.ts'
import { forEachLimit } from '../../../lib/async.ts'
import type { BuildDeps } from '../shared/deps.ts'
import { type Doomed, planPodGc } from './plan.ts'

const everyMs = 20_000
/** A node must have been missing for this long, and be missing at the API too. */
const quarantineMs = 40_000
const writesAtOnce = 8
const oneKey = 'all'

/** Deletes the pods that nobody else would. Looks at all of them every now and then. */
export function podGcController({ informers, clock }: BuildDeps): ControllerDef {
  const pods = informers.for(Pod)
  const nodes = informers.for(Node)
  const missingSince = new Map<string, number>()

  /** Whether a node counts as being there: a new one may not have been seen yet. */
  const hasNode = (name: string): boolean => {
    if (nodes.get(name) !== undefined) {
      missingSince.delete(name)
      return true
    }
    const nowMs = clock.monotonicMs()
    const since = missingSince.get(name) ?? nowMs
    missingSince.set(name, since)
    return nowMs - since < quarantineMs
  }

  return {
    name: 'pod-gc',
    // One key: the look at all pods. The first node or pod that is seen starts it, and it keeps itself going.
    sources: [watches(Node, () => []), watches(Pod, () => [])],
    startKeys: [oneKey],
    reads: [],
    writes: ['pods'],
    workers: 1,
    async reconcile(_key, context) {
      await forEachLimit(planPodGc(pods.list(), hasNode), writesAtOnce, (doomed) => remove(doomed, context))
      for (const name of missingSince.keys()) if (nodes.get(name) !== undefined) missingSince.delete(name)
      return { afterMs: everyMs }
    },
  }
}

async function remove({ pod, reason }: Doomed, { client, log, signal }: ReconcileContext): Promise<void> {
  const { nodeName = '' } = pod.spec
  if (reason === 'node is gone' && (await isThere(nodeName, { client, signal }))) return
  const { namespace = '', name = '', uid = '' } = pod.metadata
  log.info('pod deleted', { pod: `${namespace}/${name}`, reason })
  try {
    await client.delete(Pod, { namespace, name }, { signal, gracePeriodSeconds: 0, preconditions: { uid } })
  } catch (err) {
    if (!isNotFound(err) && !isConflict(err)) throw err
  }
}

async function isThere(node: string, { client, signal }: Pick<ReconcileContext, 'client' | 'signal'>): Promise<boolean> {
  try {
    await client.get(Node, { name: node }, { signal })
    return true
  } catch (err) {
    if (isNotFound(err)) return false
    throw err
  }
}
