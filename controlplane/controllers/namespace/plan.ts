import type { Namespace } from '../../../api/kinds/namespace.ts'
import type { ApiObject } from '../../../api/meta/object-meta.ts'
import { formatTime } from '../../../lib/clock.ts'

type Conditions = NonNullable<NonNullable<Namespace['status']>['conditions']>
type NamespaceCondition = Conditions[number]

/** What is left of one kind in a namespace. */
export interface Remaining {
  readonly plural: string
  readonly objects: readonly ApiObject[]
}

/** What is still to be asked to go. */
export const toDelete = (remaining: readonly Remaining[]): readonly ApiObject[] =>
  remaining.flatMap(({ objects }) => objects).filter((one) => one.metadata.deletionTimestamp === undefined)

/** Kubernetes' conditions of a namespace that is being deleted. `failure`: why a deletion was refused. */
export function terminatingConditions(
  namespace: Namespace,
  remaining: readonly Remaining[],
  { failure, nowMs }: { readonly failure: string | undefined; readonly nowMs: number },
): readonly NamespaceCondition[] {
  const left = remaining.filter(({ objects }) => objects.length > 0)
  const counts = left.map(({ plural, objects }) => `${plural} has ${objects.length} resource instances`)
  const finalizers = finalizerCounts(left)
  const yes = (is: boolean): 'True' | 'False' => (is ? 'True' : 'False')
  const next: readonly Omit<NamespaceCondition, 'lastTransitionTime'>[] = [
    {
      type: 'NamespaceDeletionDiscoveryFailure',
      status: 'False',
      reason: 'ResourcesDiscovered',
      message: 'All resources successfully discovered',
    },
    {
      type: 'NamespaceDeletionGroupVersionParsingFailure',
      status: 'False',
      reason: 'ParsedGroupVersions',
      message: 'All legacy kube types successfully parsed',
    },
    {
      type: 'NamespaceDeletionContentFailure',
      status: yes(failure !== undefined),
      reason: failure === undefined ? 'ContentDeleted' : 'ContentDeletionFailed',
      message: failure ?? 'All content successfully deleted, may be waiting on finalization',
    },
    {
      type: 'NamespaceContentRemaining',
      status: yes(counts.length > 0),
      reason: counts.length > 0 ? 'SomeResourcesRemain' : 'ContentRemoved',
      message: counts.length > 0 ? `Some resources are remaining: ${counts.join(', ')}` : 'All content successfully removed',
    },
    {
      type: 'NamespaceFinalizersRemaining',
      status: yes(finalizers.length > 0),
      reason: finalizers.length > 0 ? 'SomeFinalizersRemain' : 'ContentHasNoFinalizers',
      message:
        finalizers.length > 0
          ? `Some content in the namespace has finalizers remaining: ${finalizers.join(', ')}`
          : 'All content-preserving finalizers finished',
    },
  ]
  const known = namespace.status?.conditions ?? []
  const others = known.filter((one) => !next.some(({ type }) => type === one.type))
  return [...others, ...next.map((one) => stamped(one, known, nowMs))]
}

function stamped(next: Omit<NamespaceCondition, 'lastTransitionTime'>, known: Conditions, nowMs: number): NamespaceCondition {
  const before = known.find((one) => one.type === next.type)
  const since = before?.status === next.status ? before.lastTransitionTime : undefined
  return { ...next, lastTransitionTime: since ?? formatTime(nowMs) }
}

function finalizerCounts(remaining: readonly Remaining[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const object of remaining.flatMap(({ objects }) => objects)) {
    for (const one of object.metadata.finalizers ?? []) counts.set(one, (counts.get(one) ?? 0) + 1)
  }
  return [...counts].map(([finalizer, count]) => `${finalizer} in ${count} resource instances`)
}
