import type { ObjectKey } from '../../controlplane/store/keys.ts'
import { type Restore, saved } from './saved.ts'
import { Wishes } from './wish.ts'
import type { Step } from './workload.ts'

/** How often each object has come and gone. */
export interface Count {
  readonly added: number
  readonly deleted: number
}

/** By `plural namespace/name`. */
export type Census = ReadonlyMap<string, Count>

/** What has a name that somebody gave it; names of ReplicaSets, their pods and slices are made up, and `Causes` sees to them. */
const namedKinds = new Set(['namespaces', 'deployments', 'services', 'configmaps', 'secrets', 'serviceaccounts', 'pods', 'nodes'])

/** Counts what comes and goes. */
export class Counter {
  readonly census = new Map<string, Count>()

  see(
    { plural, namespace, name }: ObjectKey,
    change: { readonly isNew: boolean; readonly isOld: boolean; readonly isOwned: boolean },
  ): void {
    if (change.isNew === change.isOld || change.isOwned || !namedKinds.has(plural)) return
    const key = `${plural} ${namespace === undefined ? '' : `${namespace}/`}${name}`
    count(this.census, key, change.isNew ? 'added' : 'deleted')
  }

  save(): Restore {
    return saved(this.census)
  }
}

/** What a run without faults counts: each object once for each act that makes it, or makes what brings it along. */
export function expectedCensus(steps: readonly Step[], nodes: readonly string[]): Census {
  const counter = new Map<string, Count>()
  const wishes = new Wishes()
  const before = new Set<string>()
  const take = (): void => {
    const after = new Set(wishedKeys(wishes))
    for (const key of after) if (!before.has(key)) count(counter, key, 'added')
    for (const key of before) if (!after.has(key)) count(counter, key, 'deleted')
    before.clear()
    for (const key of after) before.add(key)
  }
  take()
  let restore: Restore = () => undefined
  for (const step of steps) {
    wishes.add(step)
    if (step.act.do === 'backUp') restore = saved(counter, before)
    // What went and came because of the restore itself is no event of the store.
    if (step.act.do === 'restore') restore()
    take()
  }
  for (const node of nodes) count(counter, `nodes ${node}`, 'added')
  count(counter, 'services default/kubernetes', 'added')
  return counter
}

function count(census: Map<string, Count>, key: string, what: keyof Count): void {
  const known = census.get(key) ?? { added: 0, deleted: 0 }
  census.set(key, { ...known, [what]: known[what] + 1 })
}

function wishedKeys({ apps, pods, configs, services, namespaces }: Wishes): readonly string[] {
  return [
    ...[...apps.keys()].map((key) => `deployments ${key}`),
    ...[...pods.keys()].map((key) => `pods ${key}`),
    ...[...services].map((key) => `services ${key}`),
    ...[...namespaces].flatMap((name) => [`namespaces ${name}`, `serviceaccounts ${name}/default`]),
    ...[...configs.keys()].map((id) => id.replace('ConfigMap ', 'configmaps ').replace('Secret ', 'secrets ')),
  ]
}

/**
 * Counts equal those of a run without faults, exactly; but Node objects come as often as they went and once more, and
 * bare pods may go once more when a silent or deleted node gave cause.
 */
export function censusDifferences(
  is: Census,
  wanted: Census,
  { mayLosePods }: { readonly mayLosePods: boolean },
): readonly string[] {
  const wrong: string[] = []
  for (const key of new Set([...is.keys(), ...wanted.keys()])) {
    const has = is.get(key) ?? { added: 0, deleted: 0 }
    const right = wanted.get(key) ?? { added: 0, deleted: 0 }
    const isPod = key.startsWith('pods ') && mayLosePods
    const deleted = isPod ? Math.max(right.deleted, Math.min(has.deleted, right.added)) : right.deleted
    const isNode = key.startsWith('nodes ') && has.added === has.deleted + 1
    // A namespace may have gone before anybody gave it its account, and come again.
    const isThere = right.added - right.deleted === has.added - has.deleted
    const hadNone = key.startsWith('serviceaccounts ') && isThere && has.added <= right.added
    if (isNode || hadNone || (has.added === right.added && has.deleted === deleted)) continue
    wrong.push(`${key} came ${has.added} times and went ${has.deleted} times, not ${right.added} and ${deleted}`)
  }
  return wrong
}
