import { compareQuantity, isQuantity, type Quantity } from '../../meta/quantity.ts'
import type { PodStatus } from '../pod-status.ts'
import type { Container } from './container.ts'
import type { PodSpec } from './pod-spec.ts'

const counted = ['cpu', 'memory'] as const

/** Quality of service: who is ended first when memory runs out. */
export function qosClassOf(spec: PodSpec): NonNullable<PodStatus['qosClass']> {
  const all = [...spec.containers, ...(spec.initContainers ?? [])]
  if (!all.some(asksForSomething)) return 'BestEffort'
  return all.every(isGuaranteed) ? 'Guaranteed' : 'Burstable'
}

const isPositive = (quantity: Quantity | undefined): quantity is Quantity =>
  quantity !== undefined && isQuantity(quantity) && compareQuantity(quantity, 0) > 0

const asksForSomething = ({ resources }: Container): boolean =>
  counted.some((name) => isPositive(resources?.requests?.[name]) || isPositive(resources?.limits?.[name]))

const isGuaranteed = ({ resources }: Container): boolean =>
  counted.every((name) => {
    const limit = resources?.limits?.[name]
    const request = resources?.requests?.[name] ?? limit
    return isPositive(limit) && isPositive(request) && compareQuantity(request, limit) === 0
  })
