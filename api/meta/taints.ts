import type { Taint } from '../kinds/node.ts'
import type { Toleration } from '../kinds/pod-spec/affinity.ts'

/** Whether a toleration puts up with a taint (Kubernetes: an empty key with Exists matches every taint). */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  const { key = '', operator, value = '', effect = '' } = toleration
  if (effect !== '' && effect !== taint.effect) return false
  if (key === '' && operator !== 'Exists') return false
  if (key !== '' && key !== taint.key) return false
  return operator === 'Exists' || value === (taint.value ?? '')
}

export const isTolerated = (tolerations: readonly Toleration[] | undefined, taint: Taint): boolean =>
  (tolerations ?? []).some((toleration) => tolerates(toleration, taint))
