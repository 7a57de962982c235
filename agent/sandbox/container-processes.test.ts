import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ContainerProcesses } from './container-processes.ts'

const [known, fresh] = ['a'.repeat(64), 'b'.repeat(64)]
let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'skiff-groups-'))
})
afterEach(() => rmSync(root, { recursive: true }))

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}
const processes = (): ContainerProcesses =>
  new ContainerProcesses({ groups: join(root, 'groups'), processes: join(root, 'proc') })

test.each([
  ['the first version, with folders of its own', '9:name=systemd:/x\n4:memory:/docker/@\n0::/', 'memory/docker/@'],
  ['the first version, for systemd only', '1:name=systemd:/docker/@', 'systemd/docker/@'],
  ['the second version', '0::/docker/@', 'docker/@'],
  ['the second version below systemd', '0::/system.slice/docker-@.scope', 'system.slice/docker-@.scope'],
])('the process of a new container is where that of a known one is: %s', (_what, cgroup, folder) => {
  write('proc/7/cgroup', cgroup.replaceAll('@', known))
  write(`groups/${folder.replace('@', known)}/cgroup.procs`, '7\n')
  write(`groups/${folder.replace('@', fresh)}/cgroup.procs`, '812\n')
  const found = processes()
  found.learn({ containerId: known, pid: 7 })
  expect(found.firstOf(fresh)).toBe(812)
  expect(found.firstOf('c'.repeat(64))).toBe(undefined)
})

test('nothing is found before a container was learnt from, nor from one whose group lies elsewhere', () => {
  write('proc/7/cgroup', `0::/docker/${known}`)
  write(`groups/docker/${fresh}/cgroup.procs`, '812\n')
  const found = processes()
  expect(found.firstOf(fresh)).toBe(undefined)
  found.learn({ containerId: known, pid: 7 })
  expect(found.firstOf(fresh)).toBe(undefined)
  // Another process is there: the agent sees other control groups than the engine.
  write(`groups/docker/${known}/cgroup.procs`, '70\n')
  found.learn({ containerId: known, pid: 7 })
  expect(found.firstOf(fresh)).toBe(undefined)
})

test('of several processes nobody can tell which was the first', () => {
  write('proc/7/cgroup', `0::/docker/${known}`)
  write(`groups/docker/${known}/cgroup.procs`, '7\n')
  write(`groups/docker/${fresh}/cgroup.procs`, '812\n813\n')
  const found = processes()
  found.learn({ containerId: known, pid: 7 })
  expect(found.firstOf(fresh)).toBe(undefined)
  write(`groups/docker/${fresh}/cgroup.procs`, '')
  expect(found.firstOf(fresh)).toBe(undefined)
})
