import type { DeepReadonly } from '../meta/object-meta.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { nodeStatusSchema } from './node-status.ts'
import { anyObject, atomicList, bool, message, oneOf, opt, req, type Static, setList, str, time } from './schema.ts'

const core = 'io.k8s.api.core.v1'

const taintSchema = message(`${core}.Taint`, 'Keeps pods off a node that do not tolerate it.', {
  key: req(str(), 'Key of the taint.', { tag: 1 }),
  value: opt(str(), 'Value of the taint.', { tag: 2 }),
  effect: req(oneOf('NoSchedule', 'PreferNoSchedule', 'NoExecute'), 'What happens to pods that do not tolerate it.', { tag: 3 }),
  timeAdded: opt(time(), 'When a NoExecute taint was added.', { tag: 4 }),
})
export type Taint = DeepReadonly<Static<typeof taintSchema>>

export const nodeSpecSchema = message(`${core}.NodeSpec`, 'What a node is to be.', {
  podCIDR: opt(str(), 'Address range of the node’s pods.', { tag: 1 }),
  podCIDRs: opt(setList(str()), 'Address ranges of the node’s pods; the first is podCIDR.', { tag: 7 }),
  providerID: opt(str(), 'Id of the machine at its provider.', { tag: 3 }),
  unschedulable: opt(bool(), 'Keeps new pods off (cordon).', { tag: 4 }),
  taints: opt(atomicList(taintSchema), 'Keep pods off that do not tolerate them.', { tag: 5 }),
  configSource: opt(anyObject(), 'No longer used.', { tag: 6, skiff: 'ignored' }),
  externalID: opt(str(), 'No longer used.', { tag: 2, skiff: 'ignored' }),
})
export type NodeSpec = DeepReadonly<Static<typeof nodeSpecSchema>>

export const Node = defineKind({
  group: '',
  version: 'v1',
  kind: 'Node',
  plural: 'nodes',
  shortNames: ['no'],
  scope: 'Cluster',
  subresources: ['status'],
  doc: 'A machine that runs pods.',
  schemaName: `${core}.Node`,
  body: {
    spec: opt(nodeSpecSchema, 'What the node is to be.', { tag: 2, default: {} }),
    status: opt(nodeStatusSchema, 'What is known about the node.', { tag: 3 }),
  },
})({ columns: [nameColumn, ageColumn] })
export type Node = ObjectOf<typeof Node>
