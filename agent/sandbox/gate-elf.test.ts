import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { architectureOf } from '../host/facts.ts'
import { programArchitecture } from './elf.ts'
import { failedName, gateElf, waitingName } from './gate-elf.ts'

let folder: string
let gate: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skiff-gate-'))
  gate = join(folder, waitingName)
  const architecture = programArchitecture(architectureOf(process.arch))
  if (architecture === undefined) throw new Error('no program for this machine')
  await writeFile(gate, gateElf(architecture), { mode: 0o755 })
  for (const name of ['folder', 'plain', 'broken', 'good']) await mkdir(join(folder, name))
  await mkdir(join(folder, 'folder', 'tool'))
  await writeFile(join(folder, 'plain', 'tool'), 'no program')
  await writeFile(join(folder, 'broken', 'tool'), 'no program either')
  await chmod(join(folder, 'broken', 'tool'), 0o755)
  await writeFile(join(folder, 'good', 'tool'), '#!/bin/sh\necho "$0 $*"\n')
  await chmod(join(folder, 'good', 'tool'), 0o755)
})
afterAll(async () => await rm(folder, { recursive: true }))

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})
function begin(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const child = spawn(gate, args, { stdio: ['ignore', 'pipe', 'inherit'], env, cwd: folder })
  children.push(child)
  return child
}

async function run(args: readonly string[], env: Record<string, string> = {}) {
  const child = begin(args, env)
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  const [code, signal] = await once(child, 'close')
  return { code, signal, text }
}

const nameOf = (child: ChildProcess): string => readFileSync(`/proc/${child.pid}/comm`, 'utf8').trimEnd()
async function untilNamed(child: ChildProcess, name: string): Promise<void> {
  for (let tries = 0; tries < 500 && nameOf(child) !== name; tries++) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(nameOf(child)).toBe(name)
}
const path = (...names: readonly string[]): string => names.map((name) => join(folder, name)).join(':')

test('with the right host name it becomes its command, with arguments and environment as they are', async () => {
  expect(await run([hostname(), '/bin/sh', '-c', 'echo "$X $1" "$0"; exit 7', 'zero', 'a  b'], { X: 'x' })).toEqual({
    code: 7,
    signal: null,
    text: 'x a  b zero\n',
  })
})

test('a command is looked for in PATH: folders and plain files are passed over', async () => {
  const found = await run([hostname(), 'tool', 'one'], {
    PATHS: 'no',
    PATH: path('nowhere', 'folder', 'plain', 'good', 'broken'),
  })
  expect(found.text).toBe(`${folder}/good/tool one\n`)
})

test('a path with a slash is not looked for, and begins at the working directory', async () => {
  expect((await run([hostname(), 'good/tool', 'two'], { PATH: path('broken') })).text).toBe('good/tool two\n')
})

const withFolder = (env: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value.replaceAll('@', folder)]))
test.each<[string, string, Record<string, string>]>([
  ['is nowhere', 'nosuch', { PATH: '/bin:/usr/bin' }],
  ['has no PATH', 'sh', {}],
  ['has an empty PATH', 'sh', { PATH: '' }],
  ['is found first in a form that cannot run', 'tool', { PATH: '@/broken:@/good' }],
  ['lies in a folder that is not absolute', 'tool', { PATH: 'good' }],
  ['is the empty word', '', { PATH: '/bin' }],
  ['is a path to nothing', './nosuch', { PATH: '/bin' }],
  ['is a folder', './folder', { PATH: '/bin' }],
  ['has a name that is too long', 'x'.repeat(5_000), { PATH: '/bin' }],
  ['is to lie in a folder whose name is too long', 'sh', { PATH: `/${'x'.repeat(5_000)}:/bin` }],
])('when the command %s it waits under another name to be removed', async (_what, command, env) => {
  const child = begin([hostname(), command], withFolder(env))
  await untilNamed(child, failedName)
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([127, null])
})

/** It sleeps nowhere but where it waits for signals. */
async function untilListening(child: ChildProcess): Promise<void> {
  const isSo = (): boolean => /^State:\tS/m.test(readFileSync(`/proc/${child.pid}/status`, 'utf8'))
  // It looks at the host name each millisecond: asked once more it may be awake.
  for (let tries = 0; !isSo(); tries++) {
    expect(tries).toBeLessThan(500)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
test('until then it waits, and ends when it is asked to', async () => {
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGQUIT', 131],
  ] as const) {
    const child = begin([`${hostname()}x`, '/bin/true'])
    await untilNamed(child, waitingName)
    await untilListening(child)
    child.kill('SIGWINCH')
    child.kill(signal)
    expect(await once(child, 'exit')).toEqual([code, null])
  }
})

test('its command has the signals that the gate had', async () => {
  const { text } = await run([hostname(), 'grep', '^Sig[BI]', '/proc/self/status'], { PATH: '/usr/bin:/bin' })
  const own = readFileSync('/proc/self/status', 'utf8').match(/^SigBlk.*$/m)?.[0]
  expect(text).toContain(`${own}\n`)
})

test('without a command it says that it can run', async () => {
  expect(await run([])).toMatchObject({ code: 64 })
  expect(await run([hostname()])).toMatchObject({ code: 64 })
})

test('the arm64 program is the one that ran in an emulator', () => {
  const hash = createHash('sha256').update(gateElf('arm64')).digest('hex')
  expect(hash).toBe('ae7c1aa1a1ebbbc015c60a5d082083a2306adf7b8869c4001b9df3a47ab6d03c')
})
