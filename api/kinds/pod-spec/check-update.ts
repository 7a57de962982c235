import { dequal } from 'dequal'
import { forbiddenField, invalid } from '../../meta/status.ts'
import type { Wrong } from '../rules.ts'
import type { Container } from './container.ts'
import type { PodSpec } from './pod-spec.ts'

const changeable =
  'pod updates may not change fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, ' +
  '`spec.activeDeadlineSeconds`, `spec.tolerations` (only additions) and `spec.terminationGracePeriodSeconds` (to 1 if it was negative)'

/** A pod runs as it was made: nearly all of its spec is fixed. */
export function* checkPodSpecUpdate(field: string, now: PodSpec, old: PodSpec): Wrong {
  if (now.containers.length !== old.containers.length) {
    yield forbiddenField(`${field}.containers`, 'pod updates may not add or remove containers')
    return
  }
  if ((now.initContainers ?? []).length !== (old.initContainers ?? []).length) {
    yield forbiddenField(`${field}.initContainers`, 'pod updates may not add or remove containers')
    return
  }
  yield* checkDeadline(`${field}.activeDeadlineSeconds`, now.activeDeadlineSeconds, old.activeDeadlineSeconds)
  yield* checkTolerationsUpdate(`${field}.tolerations`, now, old)
  if (!dequal(fixedPart(now, old), fixedPart(old, old))) yield forbiddenField(field, changeable)
}

/** The spec with everything that may change taken from `old`. */
function fixedPart(spec: PodSpec, old: PodSpec): object {
  const images = (list: readonly Container[] | undefined, olds: readonly Container[] | undefined) =>
    (list ?? []).map((one, index) => ({ ...one, image: olds?.[index]?.image }))
  const mayFixGrace = (old.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1
  return withoutAbsent({
    ...spec,
    containers: images(spec.containers, old.containers),
    initContainers: images(spec.initContainers, old.initContainers),
    activeDeadlineSeconds: undefined,
    tolerations: undefined,
    terminationGracePeriodSeconds: mayFixGrace ? old.terminationGracePeriodSeconds : spec.terminationGracePeriodSeconds,
  })
}

/** An absent field and one that is undefined are the same on the wire. */
const withoutAbsent = (fields: object): object =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

function* checkDeadline(field: string, now: number | undefined, old: number | undefined): Wrong {
  if (old === undefined) return
  if (now === undefined) yield invalid(field, now, 'must not update from a positive integer to nil value')
  else if (now > old) yield invalid(field, now, `must be less than or equal to previous value ${old}`)
}

function* checkTolerationsUpdate(field: string, now: PodSpec, old: PodSpec): Wrong {
  const isKept = (old.tolerations ?? []).every((one) => (now.tolerations ?? []).some((other) => sameToleration(one, other)))
  if (!isKept)
    yield forbiddenField(field, 'existing tolerations may not be removed or changed, except for their tolerationSeconds')
}

type Toleration = NonNullable<PodSpec['tolerations']>[number]
const sameToleration = (one: Toleration, other: Toleration): boolean =>
  (['key', 'operator', 'value', 'effect'] as const).every((key) => (one[key] ?? '') === (other[key] ?? ''))
