import { definePlugin, fits } from './plugin.ts'

export const nodeName = definePlugin({
  name: 'NodeName',
  prepare: (pod) => pod.spec.nodeName ?? '',
  filters: (wanted) => wanted !== '',
  filter: (wanted, node) => (wanted === '' || wanted === node.name ? fits : ["node(s) didn't match the requested node name"]),
  wakes: ['NodeAdded'],
})
