import { ageColumn, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { checkMeta } from './rules.ts'
import { atomicList, bool, mapList, opt } from './schema.ts'
import { localObjectReferenceSchema, objectReferenceSchema } from './shared.ts'

export const ServiceAccount = defineKind({
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  shortNames: ['sa'],
  scope: 'Namespaced',
  doc: 'An identity for pods.',
  schemaName: 'io.k8s.api.core.v1.ServiceAccount',
  body: {
    secrets: opt(mapList(objectReferenceSchema, 'name'), 'Secrets that pods of the account may use.', { tag: 2 }),
    imagePullSecrets: opt(atomicList(localObjectReferenceSchema), 'Logins for registries that pods of the account get.', {
      tag: 3,
    }),
    automountServiceAccountToken: opt(bool(), 'Whether pods of the account get a token.', { tag: 4, pointer: true }),
  },
})({
  columns: [nameColumn, { name: 'Secrets', type: 'integer', cell: (account) => account.secrets?.length ?? 0 }, ageColumn],
  strategy: { hasGeneration: false, validate: (account) => [...checkMeta(account)] },
})
export type ServiceAccount = ObjectOf<typeof ServiceAccount>
