import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseKubeconfig } from '../client/kubeconfig.ts'
import { loadManifests, parseManifests } from './manifests.ts'
import { UserError } from './output.ts'

// Rows 1 to 5, 10, 16 and 24 of the list of bad inputs, as far as a person's own files bring them.

const head = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n'
const bomb = [...'bcdefghij'].map((name, index) => `  ${name}: &${name} [${Array(9).fill(`*${'abcdefghij'[index]}`).join()}]`)

test.each([
  ['JSON of 101 levels', `${head}data: ${'['.repeat(101)}`, /^error: f:4: nested deeper than 100 levels$/],
  ['JSON of 100,000 levels', `${head}data: ${'['.repeat(100_000)}`, /^error: f:4: nested deeper than 100 levels$/],
  ['maps of 100,000 levels', `${head}data: ${'{a: '.repeat(100_000)}`, /^error: f:4: nested deeper/],
  ['lists in lists', `${head}data:\n  ${'- '.repeat(100_000)}`, /^error: f:5: nested deeper/],
  ['both in turns', '{"a": [- [{'.repeat(3000), /^error: f:1: nested deeper/],
  ['blocks', `${head}${Array.from({ length: 1000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')}`, /^error: f:104: nested/],
  ['an alias bomb', `${head}data:\n  a: &a [x,x,x,x,x,x,x,x,x]\n${bomb.join('\n')}`, /^error: f:1: Excessive alias count/],
  [
    'a flood of merges',
    `${head}b: &b {${Array(2000)
      .fill('k')
      .map((k, i) => `${k}${i}: v`)}}\nx:\n  <<: [${Array(5000).fill('*b')}]`,
    /aliases among/,
  ],
  ['a quoted text that goes on for ever', `${head}data: "${'\\q'.repeat(50_000)}"`, /^error: f:4: Invalid escape/],
  ['a tag of 100,000 letters', '!'.repeat(100_000), /^error: f:1: .{1,310}$/],
  [
    'a bad document in the middle',
    `${`${head}---\n`.repeat(500)}apiVersion: v1\nkind: Nope\nmetadata: {}\n---\n${head}`,
    /^error: f:2002: no matches for kind "Nope"/,
  ],
  ['a broken document in the middle', `${`${head}---\n`.repeat(5)}a: "\n---\n${head}`, /^error: f:\d+: /],
  ['a list in a list', 'apiVersion: v1\nkind: List\nitems:\n- [1]\n', /^error: f:4: expected an object/],
])('%s is refused with file and line', (_, text, message) => {
  let said: unknown
  try {
    parseManifests('f', text)
  } catch (err) {
    said = err
  }
  expect(said).toBeInstanceOf(UserError)
  expect((said as UserError).message).toMatch(message)
})

test('ten thousand documents are read, and empty ones are nothing', () => {
  expect(parseManifests('f', `${head}---\n`.repeat(10_000))).toHaveLength(10_000)
  expect(parseManifests('f', `${'---\n'.repeat(5000)}${head}---\n# nothing\n---\nnull\n`)).toHaveLength(1)
})

test('names that objects have from birth are data', () => {
  const [map] = parseManifests('f', `${head}data: {__proto__: a, constructor: b, toString: c}\n`)
  expect(Object.entries((map?.object as { readonly data?: object } | undefined)?.data ?? {})).toEqual([
    ['__proto__', 'a'],
    ['constructor', 'b'],
    ['toString', 'c'],
  ])
  expect(({} as { readonly x?: unknown }).x).toBeUndefined()
})

test('a file that is no UTF-8, and too many objects, are refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-ctl-'))
  const load = async (content: string | Uint8Array) => {
    await writeFile(join(folder, 'm.yaml'), content)
    return await loadManifests([join(folder, 'm.yaml')], { recursive: false, stdin: process.stdin })
  }
  try {
    await expect(load(Buffer.from(`${head}data:\n  a: "\xff"\n`, 'latin1'))).rejects.toThrow('m.yaml:5: it is not UTF-8')
    await expect(load(`${head}---\n`.repeat(10_001))).rejects.toThrow('more than 10000 objects')
    expect(await load(`\ufeff${head}`)).toHaveLength(1)
  } finally {
    await rm(folder, { recursive: true })
  }
})

const cluster = (server: string): string =>
  `current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: "${server}"}}]`

test.each([
  ['{a: '.repeat(100_000), 'nested deeper than 20 levels'],
  ['a: 1\nb: [\n', 'line 3: not YAML'],
  ['a: 1\na: 2\n', 'line 2: not YAML: map keys must be unique'],
  ['\u0000\u0001'.repeat(100), 'is no kubeconfig'],
  [cluster('https://:::'), 'server is no URL'],
  [cluster('ftp://x'), 'server is no URL'],
  [`${cluster('https://x')}\nusers: {}`, undefined],
])('a kubeconfig that is none says why (case %#)', (text, message) => {
  const read = () => parseKubeconfig(text, { file: '/k' })
  if (message === undefined) expect(read().server).toBe('https://x')
  else expect(read).toThrow(`/k: `)
  if (message !== undefined) expect(read).toThrow(message)
})
