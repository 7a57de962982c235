import { expect, test } from 'vitest'
import { configMap, type Part, secret } from '../testing/builders.ts'
import { cellsOf, defaulted, wrongIn, wrongInUpdate } from '../testing/written.ts'
import { fromBase64, toBase64 } from './config-data.ts'
import { ConfigMap } from './config-map.ts'
import { Secret } from './secret.ts'

const now = Date.parse('2026-01-01T01:00:00Z')

test.each(['', 'plain', 'Grüße, 世界 🙂', 'a\nb\0c'])('base64 of %j is that of its UTF-8 bytes, and back', (text) => {
  expect(toBase64(text)).toBe(Buffer.from(text, 'utf8').toString('base64'))
  expect(fromBase64(toBase64(text))).toBe(text)
})

test('what is not base64 reads as nothing', () => {
  expect(fromBase64('%')).toBe('')
})

test('stringData is written into data and wins there', () => {
  const written = defaulted(Secret, secret({ data: { a: 'MQ==', b: 'Mg==' }, stringData: { b: 'zwei' } }))
  expect(written.data).toEqual({ key: 'dmFsdWU=', a: 'MQ==', b: toBase64('zwei') })
  expect(written).not.toHaveProperty('stringData')
})

const docker = 'kubernetes.io/dockerconfigjson'
test.each<[string, Part<Secret>]>([
  ['data[a/b] Invalid', { data: { 'a/b': 'MQ==' } }],
  ['data[..a] Invalid', { data: { '..a': 'MQ==' } }],
  ['data TooLong', { data: { big: 'A'.repeat(1_500_000) } }],
  ['data[tls.key] Required', { type: 'kubernetes.io/tls', data: { 'tls.crt': 'MQ==' } }],
  ['data[ssh-privatekey] Required', { type: 'kubernetes.io/ssh-auth' }],
  ['data[username] Required, data[password] Required', { type: 'kubernetes.io/basic-auth' }],
  ['data[.dockerconfigjson] Required', { type: docker }],
  ['data[.dockerconfigjson] Invalid', { type: docker, stringData: { '.dockerconfigjson': 'no json' } }],
  ['metadata.annotations[kubernetes.io/service-account.name] Required', { type: 'kubernetes.io/service-account-token' }],
])('a Secret is refused: %s', (wrong, part) => {
  expect(wrongIn(Secret, secret(part)).join(', ')).toBe(wrong)
})

test('a refused login does not show in the message', () => {
  const errors = Secret.strategy.validate?.(
    defaulted(Secret, secret({ type: docker, stringData: { '.dockerconfigjson': 'pass-word' } })),
  )
  expect(errors).toHaveLength(1)
  expect(JSON.stringify(errors)).not.toMatch(/pass-word|cGFzcy13b3Jk/)
})

test('the type of a Secret cannot be changed', () => {
  expect(wrongInUpdate(Secret, secret({ type: 'other' }), secret())).toEqual(['type Invalid'])
})

test.each<[string, Part<ConfigMap>]>([
  ['data[a b] Invalid', { data: { 'a b': '' } }],
  ['data[key] Invalid', { binaryData: { key: 'MQ==' } }],
  ['data TooLong', { data: { big: 'ü'.repeat(600_000) } }],
])('a ConfigMap is refused: %s', (wrong, part) => {
  expect(wrongIn(ConfigMap, configMap(part))).toEqual([wrong])
})

const fixed = { immutable: true } as const
test('what is immutable neither changes nor becomes mutable', () => {
  expect(wrongInUpdate(ConfigMap, configMap(fixed), configMap())).toEqual([])
  expect(wrongInUpdate(ConfigMap, configMap({ ...fixed, metadata: { labels: { a: 'b' } } }), configMap(fixed))).toEqual([])
  expect(wrongInUpdate(ConfigMap, configMap(), configMap(fixed))).toEqual(['immutable Forbidden'])
  expect(wrongInUpdate(ConfigMap, configMap({ ...fixed, data: { key: 'new' } }), configMap(fixed))).toEqual(['data Forbidden'])
  expect(wrongInUpdate(Secret, secret({ ...fixed, stringData: { key: 'new' } }), secret(fixed))).toEqual(['data Forbidden'])
})

test('what is printed of Secrets and ConfigMaps is how much there is, not what', () => {
  expect(cellsOf(Secret, secret(), now)).toEqual({ Name: 'secret', Type: 'Opaque', Data: 1, Age: '60m' })
  expect(cellsOf(ConfigMap, configMap({ binaryData: { more: 'MQ==' } }), now)).toEqual({ Name: 'config', Data: 2, Age: '60m' })
})
