import { createHash } from 'node:crypto'
import type { Deployment } from '../../../api/kinds/deployment.ts'
import type { ReplicaSet } from '../../../api/kinds/replica-set.ts'
import { compareAge } from '../shared/age.ts'
import { isSameJson } from '../shared/deep-equal.ts'

export const hashLabel = 'pod-template-hash'
/** Kubernetes' alphabet of names that spell no word. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789'

/** Names a template: the same for equal templates, whatever the order of their fields. */
export function templateHash(template: Deployment['spec']['template'], collisionCount: number): string {
  const text = `${canonical(template)}\n${collisionCount === 0 ? '' : collisionCount}`
  const digest = createHash('sha256').update(text).digest()
  return [...digest.subarray(0, 10)].map((byte) => alphabet[byte % alphabet.length]).join('')
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .sort(([left], [right]) => (left < right ? -1 : 1))
  return `{${fields.map(([name, one]) => `${JSON.stringify(name)}:${canonical(one)}`).join(',')}}`
}

/** Whether the set makes the pods that the Deployment wants now; the label of the hash aside. */
export function hasTemplateOf(replicaSet: ReplicaSet, deployment: Deployment): boolean {
  return isSameJson(withoutHash(replicaSet.spec.template), withoutHash(deployment.spec.template))
}

function withoutHash({ metadata, spec }: ReplicaSet['spec']['template']): unknown {
  const { labels = {}, annotations = {}, ...rest } = metadata ?? {}
  const { [hashLabel]: _hash, ...others } = labels
  return { metadata: { ...rest, labels: others, annotations }, spec }
}

/** The oldest of those that fit, so that the choice stays the same. */
export function newestReplicaSet(deployment: Deployment, replicaSets: readonly ReplicaSet[]): ReplicaSet | undefined {
  return [...replicaSets].sort(compareAge).find((one) => hasTemplateOf(one, deployment))
}
