import { defineKind, type ObjectOf } from './define.ts'
import { podColumns } from './pod-columns.ts'
import { podSpecSchema } from './pod-spec/pod-spec.ts'
import { podStatusSchema } from './pod-status.ts'
import { podStrategy } from './pod-strategy.ts'
import { opt, req } from './schema.ts'

export const Pod = defineKind({
  group: '',
  version: 'v1',
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po'],
  categories: ['all'],
  scope: 'Namespaced',
  subresources: ['status', 'binding', 'log', 'exec'],
  doc: 'Containers that run together on one node and share a network address.',
  schemaName: 'io.k8s.api.core.v1.Pod',
  body: {
    spec: req(podSpecSchema, 'What the pod is to be.', { tag: 2 }),
    status: opt(podStatusSchema, 'What is known about the pod.', { tag: 3 }),
  },
})({ columns: podColumns, strategy: podStrategy })
export type Pod = ObjectOf<typeof Pod>
