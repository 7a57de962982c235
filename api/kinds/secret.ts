import { invalid, required } from '../meta/status.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { base64Size, checkData, checkDataSize, checkImmutable, fromBase64, toBase64 } from './config-data.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { checkMeta, checkUnchanged, type Wrong } from './rules.ts'
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
})({
  columns: [
    nameColumn,
    { name: 'Type', doc: 'What the data is for.', cell: (secret) => secret.type ?? 'Opaque' },
    { name: 'Data', type: 'integer', doc: 'Number of keys.', cell: (secret) => Object.keys(secret.data ?? {}).length },
    ageColumn,
  ],
  strategy: {
    hasGeneration: false,
    default({ stringData, ...secret }) {
      if (stringData === undefined) return secret
      const encoded = Object.entries(stringData).map(([key, text]) => [key, toBase64(text)] as const)
      return { ...secret, data: { ...secret.data, ...Object.fromEntries(encoded) } }
    },
    validate: (secret) => [...checkMeta(secret), ...checkSecret(secret)],
    validateUpdate: (secret, old) => [...checkUnchanged('type', secret.type, old.type), ...checkImmutable(secret, old, ['data'])],
    selectableFields: { type: (secret) => secret.type ?? '' },
  },
})
export type Secret = ObjectOf<typeof Secret>

/** Keys that a type promises to those who use the secret. */
const promised: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
    'kubernetes.io/dockercfg': ['.dockercfg'],
    'kubernetes.io/ssh-auth': ['ssh-privatekey'],
    'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  }),
)
const loginKeys: ReadonlyMap<string, string> = new Map([
  ['kubernetes.io/dockerconfigjson', '.dockerconfigjson'],
  ['kubernetes.io/dockercfg', '.dockercfg'],
])
const accountAnnotation = 'kubernetes.io/service-account.name'

function* checkSecret(secret: Secret): Wrong {
  const { data = {}, type = 'Opaque' } = secret
  yield* checkData('data', data)
  yield* checkDataSize('data', base64Size(data))
  for (const key of promised.get(type) ?? []) {
    if (!Object.hasOwn(data, key)) yield required(`data[${key}]`)
  }
  if (type === 'kubernetes.io/basic-auth' && data['username'] === undefined && data['password'] === undefined) {
    yield required('data[username]')
    yield required('data[password]')
  }
  if (type === 'kubernetes.io/service-account-token' && (secret.metadata.annotations?.[accountAnnotation] ?? '') === '') {
    yield required(`metadata.annotations[${accountAnnotation}]`)
  }
  const loginKey = loginKeys.get(type)
  const login = loginKey === undefined ? undefined : data[loginKey]
  // The value itself is confidential: it must not show in a message.
  if (login !== undefined && !isJson(fromBase64(login)))
    yield invalid(`data[${loginKey}]`, '<secret contents redacted>', 'must be JSON')
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
