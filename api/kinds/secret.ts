import { ageColumn, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { bool, bytes, mapOf, opt, str, stringMap } from './schema.ts'

export const Secret = defineKind({
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  scope: 'Namespaced',
  doc: 'Confidential data that pods read as environment variables or files.',
  schemaName: 'io.k8s.api.core.v1.Secret',
  body: {
    immutable: opt(bool(), 'Once true, data can no longer change.', { tag: 5, pointer: true }),
    data: opt(mapOf(bytes()), 'Values by key, base64 in JSON.', { tag: 2 }),
    stringData: opt(stringMap(), 'Text values by key; written into data, never given back.', { tag: 4 }),
    type: opt(str(), 'What the data is for; cannot be changed.', { tag: 3, default: 'Opaque' }),
  },
})({ columns: [nameColumn, ageColumn] })
export type Secret = ObjectOf<typeof Secret>
