import { invalid } from '../meta/status.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { bool, bytes, mapOf, opt, stringMap } from './schema.ts'

export const ConfigMap = defineKind({
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
  scope: 'Namespaced',
  doc: 'Configuration that pods read as environment variables or files.',
  schemaName: 'io.k8s.api.core.v1.ConfigMap',
  body: {
    data: opt(stringMap(), 'Text values by key.', { tag: 2 }),
    binaryData: opt(mapOf(bytes()), 'Binary values by key, base64 in JSON.', { tag: 3 }),
    immutable: opt(bool(), 'Once true, data can no longer change.', { tag: 4, pointer: true }),
  },
})({
  columns: [
    nameColumn,
    { name: 'Data', type: 'integer', cell: (cm) => Object.keys(cm.data ?? {}).length + Object.keys(cm.binaryData ?? {}).length },
    ageColumn,
  ],
  strategy: {
    validate: (cm) =>
      Object.keys({ ...cm.data, ...cm.binaryData })
        .filter((key) => !/^[-._a-zA-Z0-9]{1,253}$/.test(key) || key === '.' || key === '..')
        .map((key) => invalid(`data[${key}]`, key, 'a key must consist of alphanumeric characters, "-", "_" or "."')),
  },
})
export type ConfigMap = ObjectOf<typeof ConfigMap>
