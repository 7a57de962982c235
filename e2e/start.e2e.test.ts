import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createMachine, type Machine, ok, root } from './machine.ts'

let machine: Machine
beforeAll(async () => {
  machine = await createMachine('start')
})
afterAll(async () => {
  await machine[Symbol.asyncDispose]()
})

const start = () => machine.run(process.execPath, [join(root, 'deploy/start.ts')])

test('npm start ends with three running pods and a URL that answers', async () => {
  const startedMs = performance.now()
  const output = ok(await start())
  // What the README promises where packages and programs are there.
  expect(performance.now() - startedMs).toBeLessThan(15_000)
  expect(output).toContain('deployment.apps/hello created')
  expect(output).toContain('deployment "hello" successfully rolled out')
  expect(output.match(/hello-\S+\s+1\/1\s+Running/g)).toHaveLength(3)
  const url = /(http:\S+) answers "Hello from Skiff, this is pod hello-/.exec(output)?.[1]
  expect(url).toBeDefined()
  expect(output).toContain(`curl ${url}`)
})

test('the node port answers from different pods', async () => {
  const answers = new Set<string>()
  for (let i = 0; i < 30 && answers.size < 3; i++) answers.add((await machine.get('http://192.0.2.10:30080/')) ?? 'nothing')
  expect([...answers].every((answer) => /^Hello from Skiff, this is pod hello-/.test(answer))).toBe(true)
  expect(answers.size).toBe(3)
})

test('the node port answers on loopback too', async () => {
  expect(await machine.get('http://127.0.0.1:30080/')).toMatch(/^Hello from Skiff/)
})

test('a second npm start finds everything running', async () => {
  const output = ok(await start())
  expect(output).toContain('Skiff is already running')
  expect(output).toContain('deployment.apps/hello unchanged')
})

const containers = async () =>
  ok(await machine.docker('ps', '--no-trunc', '--format', '{{.ID}} {{.CreatedAt}} {{.Names}}'))
    .trim()
    .split('\n')
    .filter((line) => !line.includes('skiff_POD_spare__'))
    .sort()

test('ctl down leaves the containers alone, and ctl up adopts them without a restart', async () => {
  const before = await containers()
  const downMs = performance.now()
  ok(await machine.ctl('down'))
  // Nothing is waited for that does not end by itself.
  expect(performance.now() - downMs).toBeLessThan(8_000)
  expect(await containers()).toEqual(before)
  expect(await machine.get('http://192.0.2.10:30080/')).toMatch(/^Hello from Skiff/)
  expect((await machine.ctl('status')).code).not.toBe(0)
  ok(await machine.ctl('up'))
  ok(await machine.ctl('rollout', 'status', 'deployment/hello', '-n', 'hello'))
  expect(await containers()).toEqual(before)
  const restarts = ok(
    await machine.ctl('get', 'pods', '-n', 'hello', '-o', 'jsonpath={.items[*].status.containerStatuses[*].restartCount}'),
  )
  expect(restarts).toBe('0 0 0')
})

test('ctl down --purge removes what Skiff made and nothing else', async () => {
  ok(await machine.docker('run', '-d', '--name', 'stranger', 'skiff/hello:1', 'sleep', '1000'))
  ok(await machine.ctl('down', '--purge'))
  expect(ok(await machine.docker('ps', '-a', '--format', '{{.Names}}')).trim()).toBe('stranger')
  expect(ok(await machine.run('ip', ['link']))).not.toContain('skiff0')
  expect(ok(await machine.run('iptables-save', []))).not.toContain('SKIFF')
  expect((await machine.run('ls', [machine.kubeconfig])).code).not.toBe(0)
})
