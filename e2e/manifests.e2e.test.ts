import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { prepareImage } from './example-image.ts'
import { createMachine, type Machine, ok, root } from './machine.ts'

let m: Machine
beforeAll(async () => {
  m = await createMachine('manifests')
  await prepareImage(m)
  ok(await m.ctl('up'))
})
afterAll(async () => {
  await m[Symbol.asyncDispose]()
})

const folder = join(root, 'manifests')
const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'))

test('there are manifests', () => {
  expect(files).toContain('hello.yaml')
})

/** What a second apply changes, as in Kubernetes: a taint set by a controller, text that is stored as data, an atomic list. */
const changesAgain = new Set(['node.yaml', 'secret.yaml', 'pod.yaml'])

/** Files that a manifest says it needs in its first line. */
function needs(file: string): readonly string[] {
  const [head = ''] = readFileSync(join(folder, file), 'utf8').split('\n')
  return head.includes('needs') ? [...head.slice(head.indexOf('needs')).matchAll(/[\w-]+\.yaml/g)].map(([name]) => name) : []
}

test.each(files)('%s is applied as it is, reaches its outcome, and can be deleted', async (file) => {
  const path = join(folder, file)
  for (const other of needs(file)) ok(await m.ctl('apply', '-f', join(folder, other)))
  ok(await m.ctl('apply', '-f', path, '--timeout=90s'))
  const again = ok(await m.ctl('apply', '-f', path, '--timeout=90s'))
  expect(again.includes(' configured')).toBe(changesAgain.has(file))
  ok(await m.ctl('delete', '-f', path))
  for (const other of needs(file)) ok(await m.ctl('delete', '-f', join(folder, other)))
})
