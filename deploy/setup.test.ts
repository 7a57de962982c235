import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { mirrorOfLines, mirrorOfStanzas } from './apt.ts'
import { engineFlags, engineSocket } from './docker.ts'
import { isNewEnough } from './etcd.ts'
import { run, tryRun, waitFor } from './steps.ts'

test('the mirror of a .sources file is the one with the main archive, not security nor a third party', () => {
  const text = [
    'Types: deb\nURIs: https://mirror.test/debian-security\nSuites: bookworm-security\nComponents: main\n',
    '# a comment\nTypes: deb\nURIs: https://mirror.test/debian https://other.test/debian\nSuites: bookworm\nComponents: main contrib\nSigned-By: /k.gpg\n',
  ].join('\n')
  expect(mirrorOfStanzas(text)).toEqual({ uri: 'https://mirror.test/debian', signedBy: '/k.gpg' })
  expect(mirrorOfStanzas('Types: deb\nURIs: https://x.test/node_20.x\nSuites: n\nComponents: main\n')).toBeUndefined()
})

test('the mirror of a one-line sources.list may carry options', () => {
  const text =
    '# deb http://no.test/debian bookworm main\ndeb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian/ bookworm main\n'
  expect(mirrorOfLines(text)).toEqual({ uri: 'http://mirror.test/debian/', signedBy: '/k.gpg' })
  expect(mirrorOfLines('deb http://x.test/debian-security b main\n')).toBeUndefined()
})

test.each([
  ['3.4.23', false],
  ['3.5.0', true],
  ['3.5.16', true],
  ['4.0.0', true],
  ['2.9.9', false],
])('etcd %s is new enough: %s', (version, expected) => {
  expect(isNewEnough(version)).toBe(expected)
})

test('a setting in the configuration file of the engine is not repeated as a flag', () => {
  const folder = mkdtempSync(join(tmpdir(), 'skiff-setup-'))
  const file = join(folder, 'daemon.json')
  expect(engineFlags(file)).toEqual(['--live-restore', '--userland-proxy=false'])
  writeFileSync(file, '{"live-restore": false}')
  expect(engineFlags(file)).toEqual(['--userland-proxy=false'])
  rmSync(folder, { recursive: true })
})

test('the engine is the one that DOCKER_HOST names, when it is one of this machine', () => {
  expect(engineSocket('')).toBe('/var/run/docker.sock')
  expect(engineSocket('unix:///run/other.sock')).toBe('/run/other.sock')
  expect(() => engineSocket('tcp://192.0.2.1:2375')).toThrow(/DOCKER_HOST is "tcp:\/\/192\.0\.2\.1:2375"/)
})

const steps = `
  const { step } = await import(${JSON.stringify(join(import.meta.dirname, 'steps.ts'))})
  await step('Quick', async (say) => say('done'))
  await step('Slow', async (say) => {
    say('under way')
    await new Promise((resolve) => setTimeout(resolve, 400))
    say('done too')
  })
  await step('Broken', async () => { throw new Error('no luck') }).catch(() => undefined)
`

test('steps are plain lines where there is no terminal', async () => {
  const said = await run(process.execPath, ['--input-type=module', '-e', steps])
  expect(said).toBe('✓ Quick: done\n  Slow: under way\n✓ Slow: done too\n✗ Broken\n')
})

test('steps are a spinner on a terminal, and end as the same lines', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'skiff-setup-'))
  writeFileSync(join(folder, 'steps.mjs'), steps)
  const said = await run('script', ['-qec', `${process.execPath} ${join(folder, 'steps.mjs')}`, '/dev/null'])
  rmSync(folder, { recursive: true })
  expect(said).toMatch(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] Slow: under way/u)
  expect(said).toContain('\r\x1b[2K✓ Slow: done too\r\n')
})

test('a program that fails or does not exist is named with what it said', async () => {
  await expect(run('sh', ['-c', 'echo no luck >&2; exit 3'])).rejects.toThrow(/sh .* failed with code 3:\nno luck/)
  expect((await tryRun('no-such-program', [])).code).toBe(127)
  expect((await tryRun('cat', [], { input: 'hi' })).stdout).toBe('hi')
})

test('waiting gives up at its limit', async () => {
  expect(await waitFor(10, async () => false, 1)).toBe(false)
  expect(await waitFor(1000, async () => true)).toBe(true)
})
