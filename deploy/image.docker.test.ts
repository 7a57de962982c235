import { afterAll, beforeAll, expect, test } from 'vitest'
import { pingDocker } from './docker.ts'
import { helloImage, makeHelloImage } from './image.ts'
import { run, tryRun, waitFor } from './steps.ts'

let container = ''

beforeAll(async () => {
  await makeHelloImage(() => undefined)
  container = (await run('docker', ['run', '-d', '-e', 'GREETING=Ahoy', '-e', 'POD_NAME=web-1', helloImage])).trim()
})

afterAll(async () => {
  await tryRun('docker', ['rm', '-f', container])
})

test('the engine answers', async () => {
  expect(await pingDocker()).toBe(true)
})

test('the example’s image answers with its greeting and pod', async () => {
  const ask = () => tryRun('docker', ['exec', container, 'wget', '-q', '-O-', 'http://127.0.0.1:8080/'])
  expect(await waitFor(10_000, async () => (await ask()).code === 0)).toBe(true)
  expect((await ask()).stdout).toBe('Ahoy, this is pod web-1\n')
})

test('the example’s image stops at once when asked', async () => {
  const startedAt = performance.now()
  await run('docker', ['stop', '--time', '20', container])
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  expect((await run('docker', ['inspect', '-f', '{{.State.ExitCode}}', container])).trim()).toBe('0')
})
