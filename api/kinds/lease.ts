import { ageColumn, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { checkMeta, checkMin } from './rules.ts'
import { int32, message, microTime, opt, str } from './schema.ts'

const group = 'io.k8s.api.coordination.v1'
const ptr = { pointer: true } as const

export const Lease = defineKind({
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  scope: 'Namespaced',
  doc: 'Says who holds something, and until when.',
  schemaName: `${group}.Lease`,
  body: {
    spec: opt(
      message(`${group}.LeaseSpec`, 'Who holds the lease, and until when.', {
        holderIdentity: opt(str(), 'Who holds it.', { tag: 1, ...ptr }),
        leaseDurationSeconds: opt(int32(), 'Seconds after renewTime at which others may take it.', { tag: 2, ...ptr }),
        acquireTime: opt(microTime(), 'When the holder took it.', { tag: 3 }),
        renewTime: opt(microTime(), 'When the holder last renewed it.', { tag: 4 }),
        leaseTransitions: opt(int32(), 'How often the holder has changed.', { tag: 5, ...ptr }),
        strategy: opt(str(), 'How a holder is picked.', { tag: 6, ...ptr, skiff: 'ignored' }),
        preferredHolder: opt(str(), 'Who should hold it next.', { tag: 7, ...ptr, skiff: 'ignored' }),
      }),
      'Who holds the lease, and until when.',
      { tag: 2 },
    ),
  },
})({
  columns: [nameColumn, { name: 'Holder', doc: 'Who holds it.', cell: (lease) => lease.spec?.holderIdentity ?? '' }, ageColumn],
  strategy: {
    hasGeneration: false,
    validate: (lease) => [
      ...checkMeta(lease),
      ...checkMin('spec.leaseDurationSeconds', lease.spec?.leaseDurationSeconds, 1),
      ...checkMin('spec.leaseTransitions', lease.spec?.leaseTransitions, 0),
    ],
  },
})
export type Lease = ObjectOf<typeof Lease>
