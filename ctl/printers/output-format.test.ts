import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import { manifestYaml } from '../../api/meta/yaml.ts'
import { printerOf } from './output-format.ts'

const kind = ConfigMap as unknown as KindDef
const object = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'a', labels: { z: '1', app: 'web' }, creationTimestamp: '2026-01-02T03:04:05Z', managedFields: [] },
  data: { on: 'yes', time: '12:30', mode: '0400', octal: '0o17', line: 'a: b' },
}
const print = (format: string, isList = false): string => printerOf(format)?.([{ kind, object }], isList) ?? ''

test('yaml has its keys in order, and texts that look like something else are quoted', () => {
  const text = print('yaml')
  expect(text).toMatch(
    /^apiVersion: v1\ndata:\n[\s\S]*\nkind: ConfigMap\nmetadata:\n {2}creationTimestamp: "2026-01-02T03:04:05Z"\n/,
  )
  expect(text).not.toContain('managedFields')
})

test('what is printed as yaml is read as the same object', () => {
  expect(parse(print('yaml'), manifestYaml).data).toEqual(object.data)
})

test('many are one List', () => {
  expect(JSON.parse(print('json', true))).toMatchObject({ apiVersion: 'v1', kind: 'List', items: [{ data: { on: 'yes' } }] })
})

test.each([
  ['custom-columns=NAME:.metadata.name,LABELS:.metadata.labels', 'NAME   LABELS\na      map[app:web z:1]\n'],
  ['custom-columns=X:.nothing,LINE:.data.line', 'X        LINE\n<none>   a: b\n'],
  ['name', 'configmap/a\n'],
  ['jsonpath={.metadata.name}', 'a'],
  ['jsonpath-as-json={.metadata.labels.app}', '[\n    "web"\n]\n'],
])('-o %s', (format, expected) => {
  expect(print(format)).toBe(expected)
})

test('an unknown format, or one without its template, is an error', () => {
  expect(() => printerOf('foo')).toThrow('unable to match a printer suitable for the output format "foo"')
  expect(() => printerOf('jsonpath=')).toThrow('no template given')
  expect(() => printerOf('custom-columns=NAME')).toThrow('custom-columns')
})
