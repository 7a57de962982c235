import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ConfigMap } from '../api/kinds/config-map.ts'
import { badRequest, invalid, invalidObject } from '../api/meta/status.ts'
import { explainRefusal, loadManifests, parseManifests, splitPath } from './manifests.ts'
import { UserError } from './output.ts'

const two = `# a comment
apiVersion: v1
kind: ConfigMap
metadata:
  name: one
data:
  a: "1"
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
        - name: web
          image: ""
        - name: side
          imagePullPolicy: Sometimes
`

test('each document of a file is an object that knows its lines', () => {
  const [one, web] = parseManifests('app.yaml', two)
  expect(one?.kind.kind).toBe('ConfigMap')
  expect(one?.lineOf('data.a')).toBe(7)
  expect(web?.lineOf('spec.template.spec.containers[1].imagePullPolicy')).toBe(20)
  expect(web?.lineOf('spec.template.spec.containers[0].image')).toBe(18)
  // What is not written stands with what is nearest above it.
  expect(web?.lineOf('spec.template.spec.containers[1].image')).toBe(19)
  expect(web?.lineOf('spec.selector')).toBe(13)
})

test('the items of a List are objects with lines of their own', () => {
  const text = 'apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: x\n'
  const [item] = parseManifests('list.yaml', text)
  expect(item?.object.metadata.name).toBe('x')
  expect(item?.lineOf('metadata.name')).toBe(7)
})

test.each([
  ['duplicate keys', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {}\ndata: {}\n', /f\.yaml:5: .*unique/i],
  ['broken YAML', 'apiVersion: v1\nkind: [\n', /f\.yaml:\d+: /],
  ['no kind', 'apiVersion: v1\nmetadata: {name: a}\n', /f\.yaml:1: kind: Required value/],
  ['no apiVersion', 'kind: ConfigMap\n', /f\.yaml:1: apiVersion: Required value/],
  ['no metadata', 'apiVersion: v1\nkind: ConfigMap\n', /f\.yaml:1: metadata: Required value/],
  [
    'an unknown kind',
    'apiVersion: v1\nkind: Nothing\nmetadata: {}\n',
    /f\.yaml:2: no matches for kind "Nothing" in version "v1"/,
  ],
  ['a kind of another version', 'apiVersion: v1\nkind: Deployment\nmetadata: {}\n', /did you mean kind Deployment in apps\/v1/],
  ['a list for an object', '- a\n', /f\.yaml:1: expected an object/],
  ['deep nesting', `a: ${'['.repeat(5_000)}${']'.repeat(5_000)}\n`, /f\.yaml:\d+: nested deeper than 100 levels/],
  ['very deep nesting', `a: ${'['.repeat(50_000)}${']'.repeat(50_000)}\n`, /f\.yaml:\d+: nested deeper than 100 levels/],
  ['very deep blocks', `${Array.from({ length: 3_000 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')}`, /f\.yaml:\d+: /],
  [
    'an alias bomb',
    `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
      .split('')
      .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[i]}`).join(',')}]`)
      .join('\n')}\n`,
    /alias/i,
  ],
])('%s is refused with file and line', (_, text, expected) => {
  expect(() => parseManifests('f.yaml', text)).toThrow(expected)
  expect(() => parseManifests('f.yaml', text)).toThrow(UserError)
})

test('an empty document is no object', () => {
  expect(parseManifests('f.yaml', '---\n# nothing\n---\n')).toEqual([])
})

test('a prototype key is data, never a prototype', () => {
  const [one] = parseManifests(
    'f.yaml',
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {__proto__: {polluted: "yes"}}\n',
  )
  expect(one).toBeDefined()
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
})

test('paths are taken apart', () => {
  expect(splitPath('spec.containers[0].env[2].name')).toEqual(['spec', 'containers', 0, 'env', 2, 'name'])
  expect(splitPath('metadata.labels[a/b]')).toEqual(['metadata', 'labels', 'a/b'])
})

test('a refusal names file and line of each field', () => {
  const [one] = parseManifests('app.yaml', two)
  if (one === undefined) throw new Error('no manifest')
  const refusal = invalidObject(ConfigMap, 'one', [invalid('data.a', '1', 'is not good')])
  expect(explainRefusal(one, refusal)?.message).toContain('app.yaml:7: data.a: Invalid value: "1": is not good')
  const unknown = badRequest('strict decoding error: unknown field "metadata.nam"')
  expect(explainRefusal(one, unknown)?.message).toContain('app.yaml:4: strict decoding error')
  expect(explainRefusal(one, new Error('x'))).toBeUndefined()
})

test('a folder gives its manifests in order of their names', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-ctl-'))
  try {
    const text = (name: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\n`
    await writeFile(join(folder, 'b.yaml'), text('b'))
    await writeFile(join(folder, 'a.yml'), text('a'))
    await writeFile(join(folder, 'c.txt'), 'no manifest')
    const options = { recursive: false, stdin: (async function* () {})() }
    const names = (await loadManifests([folder], options)).map(({ object }) => object.metadata.name)
    expect(names).toEqual(['a', 'b'])
    await expect(loadManifests([join(folder, 'missing.yaml')], options)).rejects.toThrow('does not exist')
    await expect(loadManifests([], options)).rejects.toThrow('must specify')
  } finally {
    await rm(folder, { recursive: true })
  }
})
