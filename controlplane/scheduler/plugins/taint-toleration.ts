import type { Toleration } from '../../../api/kinds/pod-spec/affinity.ts'
import { isTolerated } from '../../../api/meta/taints.ts'
import { definePlugin, fits } from './plugin.ts'

export const taintToleration = definePlugin<readonly Toleration[]>({
  name: 'TaintToleration',
  prepare: (pod) => pod.spec.tolerations ?? [],
  filter: (tolerations, { node }) => {
    const taint = node.spec?.taints?.find((one) => one.effect !== 'PreferNoSchedule' && !isTolerated(tolerations, one))
    return taint === undefined ? fits : [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`]
  },
  score: (tolerations, { node }) =>
    (node.spec?.taints ?? []).filter((one) => one.effect === 'PreferNoSchedule' && !isTolerated(tolerations, one)).length,
  scale: 'inverse',
  weight: 3,
  wakes: ['NodeAdded', 'NodeChanged'],
})
