import type { Pod } from '../../../api/kinds/pod.ts'
import type { ReplicaSet, ReplicaSetCondition, ReplicaSetStatus } from '../../../api/kinds/replica-set.ts'
import { controllerRef } from '../../../api/meta/object-meta.ts'
import { equalitySelector } from '../../../api/meta/selector.ts'
import { formatTime } from '../../../lib/clock.ts'
import { availableInMs, isActive, isReady } from '../shared/pods.ts'
import { pickVictims } from './victims.ts'

/** Pods made or deleted in one go; the rest follows when these are seen. */
export const burst = 500

export interface ReplicaSetSeen {
  readonly replicaSet: ReplicaSet
  /** Its own pods, in any state. */
  readonly pods: readonly Pod[]
  /** Pods of all sets of the same Deployment: they share the nodes. */
  readonly related: readonly Pod[]
  readonly nowMs: number
}

export interface ReplicaSetPlan {
  readonly create: number
  readonly delete: readonly Pod[]
  readonly status: ReplicaSetStatus
  /** When the next pod becomes available by having been ready long enough. */
  readonly againMs: number | undefined
}

export function planReplicaSet({ replicaSet, pods, related, nowMs }: ReplicaSetSeen): ReplicaSetPlan {
  const active = pods.filter(isActive)
  const { replicas = 1, minReadySeconds = 0 } = replicaSet.spec
  const missing = replicaSet.metadata.deletionTimestamp === undefined ? replicas - active.length : 0
  const waits = active.flatMap((pod) => availableInMs(pod, minReadySeconds, nowMs) ?? [])
  const pending = waits.filter((ms) => ms > 0)
  return {
    create: Math.min(Math.max(missing, 0), burst),
    delete: missing < 0 ? pickVictims(active, Math.min(-missing, burst), related) : [],
    status: statusOf(replicaSet, active, waits.length - pending.length),
    againMs: pending.length === 0 ? undefined : Math.min(...pending),
  }
}

function statusOf(replicaSet: ReplicaSet, active: readonly Pod[], available: number): ReplicaSetStatus {
  const { metadata, spec, status } = replicaSet
  const labels = spec.template.metadata?.labels ?? {}
  const isFullyLabeled = Object.keys(labels).length === 0 ? () => true : equalitySelector(labels)
  return {
    replicas: active.length,
    fullyLabeledReplicas: active.filter((pod) => isFullyLabeled(pod.metadata.labels)).length,
    readyReplicas: active.filter(isReady).length,
    availableReplicas: available,
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    ...(status?.conditions === undefined ? {} : { conditions: status.conditions }),
  }
}

export interface Failure {
  readonly reason: 'FailedCreate' | 'FailedDelete'
  readonly message: string
}

/** The status with or without the condition ReplicaFailure. */
export function withFailure(status: ReplicaSetStatus, failure: Failure | undefined, nowMs: number): ReplicaSetStatus {
  const { conditions = [], ...rest } = status
  const others = conditions.filter((one) => one.type !== 'ReplicaFailure')
  if (failure === undefined) return others.length === 0 ? rest : { ...rest, conditions: others }
  const known = conditions.find((one) => one.type === 'ReplicaFailure')
  const condition: ReplicaSetCondition = {
    type: 'ReplicaFailure',
    status: 'True',
    reason: failure.reason,
    message: failure.message,
    lastTransitionTime: known?.lastTransitionTime ?? formatTime(nowMs),
  }
  return { ...rest, conditions: [...others, condition] }
}

/** A new pod of the set; the server completes its name. */
export function podOf(replicaSet: ReplicaSet): Pod {
  const { template } = replicaSet.spec
  const { labels, annotations, finalizers } = template.metadata ?? {}
  const { name = '', namespace = '' } = replicaSet.metadata
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${name}-`,
      namespace,
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(finalizers === undefined ? {} : { finalizers }),
      ownerReferences: [controllerRef(replicaSet)],
    },
    spec: template.spec ?? { containers: [] },
  }
}

/** Sizes of the batches in which pods are made: doubled after each success, so that what fails for all fails once. */
export function batchSizes(count: number): readonly number[] {
  const sizes: number[] = []
  for (let left = count, size = 1; left > 0; left -= size, size *= 2) sizes.push(Math.min(size, left))
  return sizes
}
