import type { ApiObject } from '../meta/object-meta.ts'
import { formatLabelSelector, labelSelector } from '../meta/selector.ts'
import { forbiddenField, invalid, required } from '../meta/status.ts'
import type { Column, Strategy } from './define.ts'
import { checkPodTemplate } from './pod-spec/check-pod-spec.ts'
import type { PodTemplateSpec } from './pod-spec/pod-spec.ts'
import { checkMin, checkSelector, isEmptySelector, type Wrong } from './rules.ts'
import type { LabelSelector } from './shared.ts'

/** What Deployment, ReplicaSet and their like have in common: a count of pods made from a template. */
export interface Workload extends ApiObject {
  readonly spec: {
    readonly replicas?: number
    readonly minReadySeconds?: number
    readonly selector: LabelSelector
    readonly template: PodTemplateSpec
  }
  readonly status?: { readonly replicas?: number }
}

export const workloadWideColumns: readonly Column<Workload>[] = [
  { name: 'Containers', wide: true, cell: ({ spec }) => spec.template.spec.containers.map(({ name }) => name).join(',') },
  { name: 'Images', wide: true, cell: ({ spec }) => spec.template.spec.containers.map(({ image }) => image ?? '').join(',') },
  { name: 'Selector', wide: true, cell: ({ spec }) => formatLabelSelector(spec.selector) },
]

export function* checkWorkload({ kind, spec }: Workload): Wrong {
  yield* checkMin('spec.replicas', spec.replicas, 0)
  yield* checkMin('spec.minReadySeconds', spec.minReadySeconds, 0)
  yield* checkSelector('spec.selector', spec.selector)
  yield* checkPodTemplate('spec.template', spec.template)
  const labels = spec.template.metadata?.labels ?? {}
  if (isEmptySelector(spec.selector)) {
    yield invalid('spec.selector', spec.selector, `empty selector is invalid for a ${kind}`)
  } else if (!labelSelector(spec.selector)(labels)) {
    yield invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`')
  }
}

/** `observed.selector` is what an autoscaler lists the pods by. */
export function scaleOf<O extends Workload>(): NonNullable<Strategy<O>['scale']> {
  return {
    getReplicas: ({ spec }) => spec.replicas ?? 1,
    setReplicas: (object, replicas) => ({ ...object, spec: { ...object.spec, replicas } }),
    observed: ({ spec, status }) => ({ replicas: status?.replicas ?? 0, selector: formatLabelSelector(spec.selector) }),
  }
}

/** A count, or a percentage of the replicas. */
function* checkIntOrPercent(field: string, value: number | string | undefined, most = Number.POSITIVE_INFINITY): Wrong {
  if (value === undefined) return
  if (typeof value === 'number') {
    if (value < 0) yield invalid(field, value, 'must be greater than or equal to 0')
    return
  }
  const percent = /^(\d{1,9})%$/.exec(value)?.[1]
  if (percent === undefined) yield invalid(field, value, "must be a whole number or a percentage (e.g. '1' or '25%')")
  else if (Number(percent) > most) yield invalid(field, value, `must not be greater than ${most}%`)
}

const isZero = (value: number | string | undefined): boolean => value === undefined || value === 0 || /^0+%$/.test(String(value))

interface Rolling {
  readonly type?: string
  readonly rollingUpdate?: { readonly maxUnavailable?: number | string; readonly maxSurge?: number | string }
}

export function* checkRollout(field: string, { type, rollingUpdate }: Rolling): Wrong {
  const at = `${field}.rollingUpdate`
  if (type === 'Recreate') {
    if (rollingUpdate !== undefined) yield forbiddenField(at, "may not be specified when strategy `type` is 'Recreate'")
    return
  }
  if (rollingUpdate === undefined) {
    yield required(at)
    return
  }
  yield* checkIntOrPercent(`${at}.maxUnavailable`, rollingUpdate.maxUnavailable, 100)
  yield* checkIntOrPercent(`${at}.maxSurge`, rollingUpdate.maxSurge)
  if (isZero(rollingUpdate.maxUnavailable) && isZero(rollingUpdate.maxSurge)) {
    yield invalid(`${at}.maxUnavailable`, rollingUpdate.maxUnavailable ?? 0, 'may not be 0 when `maxSurge` is 0')
  }
}
