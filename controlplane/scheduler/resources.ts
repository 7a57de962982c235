import type { Node } from '../../api/kinds/node.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import { isQuantity, quantityMilli, quantityValue } from '../../api/meta/quantity.ts'

/** Amounts by resource name: `cpu` in milli-CPUs, everything else in whole units. */
export type Amounts = ReadonlyMap<string, number>

export function amountOf(resource: string, quantity: string | number): number {
  if (!isQuantity(quantity)) return 0
  return resource === 'cpu' ? quantityMilli(quantity) : quantityValue(quantity)
}

const toAmounts = (list: Readonly<Record<string, string | number>> | undefined): Map<string, number> =>
  new Map(Object.entries(list ?? {}).map(([resource, quantity]) => [resource, amountOf(resource, quantity)]))

const requests = new WeakMap<Pod, Amounts>()

/** What has to be free for a pod: its containers together, or its largest init container where that is more. */
export function podRequests(pod: Pod): Amounts {
  const known = requests.get(pod)
  if (known !== undefined) return known
  const total = new Map<string, number>()
  for (const { resources } of pod.spec.containers) {
    for (const [name, amount] of toAmounts(resources?.requests)) total.set(name, (total.get(name) ?? 0) + amount)
  }
  for (const { resources } of pod.spec.initContainers ?? []) {
    for (const [name, amount] of toAmounts(resources?.requests)) total.set(name, Math.max(total.get(name) ?? 0, amount))
  }
  requests.set(pod, total)
  return total
}

export const allocatable = (node: Node): Amounts => toAmounts(node.status?.allocatable ?? node.status?.capacity)

/** A pod that asks for nothing still uses something: what scores count it as (Kubernetes: 100m and 200 MB). */
const assumed: Readonly<Record<string, number>> = { cpu: 100, memory: 200 * 1024 * 1024 }

/** For scores only. */
export const scoredRequest = (pod: Pod, resource: 'cpu' | 'memory'): number =>
  podRequests(pod).get(resource) ?? assumed[resource] ?? 0
