import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { expect, test } from 'vitest'
import { architectureOf } from '../host/facts.ts'
import { pauseElf } from './pause-elf.ts'
import { pauseImage } from './pause-image.ts'

async function start() {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-pause-'))
  const path = join(folder, 'pause')
  await writeFile(path, pauseElf(architectureOf(process.arch)), { mode: 0o755 })
  // A shell that leaves a child behind and becomes the program, whose child it then is.
  const child = spawn('sh', ['-c', 'sleep 0.2 & exec "$0"', path], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  return { child, ended, folder }
}
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const childrenOf = (pid: number): string => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 100 && !isSo(); tries++) await wait(50)
  expect(isSo()).toBe(true)
}

test('the program of this machine reaps children, stays, and ends on SIGTERM', async () => {
  const { child, ended, folder } = await start()
  const pid = child.pid ?? 0
  await until(() => childrenOf(pid) !== '' && readFileSync(`/proc/${pid}/comm`, 'utf8') === 'pause\n')
  await until(() => childrenOf(pid) === '')
  expect(child.exitCode).toBe(null)
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  await rm(folder, { recursive: true })
})

test('the arm64 program is the one that ran in an emulator', () => {
  const hash = createHash('sha256').update(pauseElf('aarch64')).digest('hex')
  expect(hash).toBe('dbbeaf176351b53066f55233d03459654bbfb0844a2124af247331b3b414f4e5')
})

test('each architecture has its own image, and an unknown one is refused', () => {
  expect(pauseImage('x86_64').tag).toMatch(/^skiff\/pause:[0-9a-f]{12}$/)
  expect(pauseImage('x86_64').tag).not.toBe(pauseImage('aarch64').tag)
  expect(pauseElf('amd64')).toEqual(pauseElf('x86_64'))
  expect(() => pauseElf('mips')).toThrow('no sandbox program for the architecture "mips"')
})
