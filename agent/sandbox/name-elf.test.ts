import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { architectureOf } from '../host/facts.ts'
import { programArchitecture } from './elf.ts'
import { nameElf, nameUsageCode } from './name-elf.ts'

let folder: string
let program: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'skiff-name-'))
  program = join(folder, 'name')
  const architecture = programArchitecture(architectureOf(process.arch))
  if (architecture === undefined) throw new Error('no program for this machine')
  writeFileSync(program, nameElf(architecture), { mode: 0o755 })
})
afterAll(() => rmSync(folder, { recursive: true }))

const codeOf = (...args: readonly string[]): number | null => spawnSync(program, args).status

test('what is no namespace is refused', () => {
  expect(codeOf('/proc/self/ns/nothing', 'x')).toBe(1)
  expect(codeOf('/proc/self/status', 'x')).toBe(1)
  expect(codeOf('/proc/self/ns/net', 'x')).toBe(1)
})

test('without its two arguments it says how it is meant', () => {
  expect([codeOf(), codeOf('/proc/self/ns/uts'), codeOf('a', 'b', 'c')]).toEqual(Array(3).fill(nameUsageCode))
})

// Only root may make a namespace, or enter one.
test.runIf(process.getuid?.() === 0)('the name is set in the namespace, and nowhere else', () => {
  const before = hostname()
  const script = '"$0" /proc/self/ns/uts "$1"; echo $?; hostname'
  const inside = (name: string): string => execFileSync('unshare', ['--uts', 'sh', '-c', script, program, name]).toString()
  expect(inside('of-the-pod.1')).toBe('0\nof-the-pod.1\n')
  expect(inside('x'.repeat(63))).toBe(`0\n${'x'.repeat(63)}\n`)
  expect(inside('x'.repeat(65))).toMatch(/^1\n/)
  expect(hostname()).toBe(before)
})

test('the arm64 program is the one that ran in an emulator', () => {
  const hash = createHash('sha256').update(nameElf('arm64')).digest('hex')
  expect(hash).toBe('8aa8be877376ce52030f411215c056f829a596d0620a69b8f4d6092873822dde')
})
