import type { Toleration } from '../../../api/kinds/pod-spec/affinity.ts'
import { isTolerated } from '../../../api/meta/taints.ts'
import { definePlugin, fits } from './plugin.ts'

export const taintToleration = definePlugin<readonly Toleration[]>({
  name: 'TaintToleration',
  prepare: (pod) => pod.spec.tolerations ?? [],
  filter: (tolerations, { taints }) => {
    if (taints.length === 0) return fits
    const taint = taints.find((one) => one.effect !== 'PreferNoSchedule' && !isTolerated(tolerations, one))
    return taint === undefined ? fits : [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`]
  },
  score: (tolerations, { taints }) =>
    taints.length === 0 ? 0 : taints.filter((one) => one.effect === 'PreferNoSchedule' && !isTolerated(tolerations, one)).length,
  scale: 'inverse',
  weight: 3,
  wakes: ['NodeAdded', 'NodeChanged'],
})
