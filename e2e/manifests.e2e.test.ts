import { readdirSync } from 'node:fs'
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

test.each(files)('%s is applied as it is, reaches its outcome, and can be deleted', async (file) => {
  ok(await m.ctl('apply', '-f', join(folder, file), '--timeout=90s'))
  expect(ok(await m.ctl('apply', '-f', join(folder, file), '--timeout=90s'))).not.toContain('configured')
  ok(await m.ctl('delete', '-f', join(folder, file)))
})
