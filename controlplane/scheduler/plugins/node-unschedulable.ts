import { isTolerated } from '../../../api/meta/taints.ts'
import { definePlugin, fits } from './plugin.ts'

const taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' } as const

export const nodeUnschedulable = definePlugin({
  name: 'NodeUnschedulable',
  prepare: (pod) => isTolerated(pod.spec.tolerations, taint),
  filters: (tolerated) => !tolerated,
  filter: (tolerated, { isUnschedulable }) => (!isUnschedulable || tolerated ? fits : ['node(s) were unschedulable']),
  wakes: ['NodeAdded', 'NodeChanged'],
})
