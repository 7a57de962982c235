import { invalid } from '../meta/status.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { base64Size, checkData, checkDataSize, checkImmutable, textSize } from './config-data.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { checkMeta, type Wrong } from './rules.ts'
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
    hasGeneration: false,
    validate: (cm) => [...checkMeta(cm), ...checkConfigMap(cm)],
    validateUpdate: (cm, old) => [...checkImmutable(cm, old, ['data', 'binaryData'])],
  },
})
export type ConfigMap = ObjectOf<typeof ConfigMap>

function* checkConfigMap({ data = {}, binaryData = {} }: ConfigMap): Wrong {
  yield* checkData('data', data)
  yield* checkData('binaryData', binaryData)
  for (const key of Object.keys(binaryData)) {
    if (Object.hasOwn(data, key)) yield invalid(`data[${key}]`, key, 'duplicate of key present in binaryData')
  }
  const size = textSize(data) + base64Size(binaryData)
  yield* checkDataSize('data', size)
}
