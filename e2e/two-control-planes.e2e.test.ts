import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ControlPlaneProcess, kubectlAt, startAgent, startControlPlane } from './control-planes.ts'
import { prepareImage } from './example-image.ts'
import { createMachine, eventually, type Machine, ok, root } from './machine.ts'

let m: Machine
let first: ControlPlaneProcess
let second: ControlPlaneProcess
let agent: Awaited<ReturnType<typeof startAgent>>

beforeAll(async () => {
  m = await createMachine('two')
  await prepareImage(m)
  first = await startControlPlane(m, { apiPort: 6443, gatewayPort: 6444, ownEtcd: true })
  second = await startControlPlane(m, { apiPort: 7443, gatewayPort: 7444, ownEtcd: false })
  agent = await startAgent(m, [6444, 7444])
})
afterAll(async () => {
  for (const { child } of [agent, second, first]) child.kill('SIGKILL')
  ok(await m.run(process.execPath, [join(root, 'dist/programs/controlplane.mjs'), 'stop-etcd', '--data-dir', m.dataDir]))
  await m[Symbol.asyncDispose]()
})

const replicas = async (at: ControlPlaneProcess, count: number): Promise<void> => {
  ok(await kubectlAt(m, at, 'scale', 'deployment/hello', '-n', 'hello', `--replicas=${count}`))
}

/** Milliseconds until the deployment has been seen by a controller in its newest form. */
async function untilObserved(at: ControlPlaneProcess): Promise<number> {
  const startedMs = performance.now()
  await eventually('the deployment is observed', async (tell) => {
    const path = '{.metadata.generation} {.status.observedGeneration}'
    const text = (await kubectlAt(m, at, 'get', 'deployment', 'hello', '-n', 'hello', '-o', `jsonpath=${path}`)).stdout
    tell(`${text}\n${at.log().slice(-2000)}`)
    const [generation, observed] = text.split(' ')
    return generation !== undefined && generation === observed ? true : undefined
  })
  return performance.now() - startedMs
}

const ready = async (at: ControlPlaneProcess, count: number): Promise<void> => {
  ok(
    await kubectlAt(
      m,
      at,
      'wait',
      '-n',
      'hello',
      'deployment/hello',
      `--for=jsonpath={.status.readyReplicas}=${count}`,
      '--timeout=60s',
    ),
  )
}
const containers = async () =>
  ok(await m.docker('ps', '--no-trunc', '--format', '{{.ID}}'))
    .trim()
    .split('\n')
    .sort()

test('both serve, one leads', async () => {
  ok(await kubectlAt(m, second, 'apply', '-f', join(root, 'manifests/hello.yaml')))
  await ready(first, 3)
  expect(first.log()).toContain('"message":"leading"')
  expect(second.log()).not.toContain('"message":"leading"')
})

test('a frozen leader is replaced, and what it does when it wakes changes nothing', async () => {
  const before = await containers()
  process.kill(first.pid(), 'SIGSTOP')
  await replicas(second, 4)
  // The lease has to run out first: 4 s, which etcd looks at every half second.
  expect(await untilObserved(second)).toBeLessThan(10_000)
  await ready(second, 4)
  process.kill(first.pid(), 'SIGCONT')
  await eventually('the woken one knows that it leads no longer', async (tell) => {
    tell(first.log().slice(-2000))
    return first.log().includes('"message":"no longer leading"') ? true : undefined
  })
  await ready(second, 4)
  const after = await containers()
  expect(before.filter((id) => !after.includes(id))).toEqual([])
})

test('a killed leader is replaced by the other, the agent follows, and nothing restarts', async () => {
  const before = await containers()
  process.kill(second.pid(), 'SIGKILL')
  await replicas(first, 2)
  expect(await untilObserved(first)).toBeLessThan(10_000)
  await ready(first, 2)
  await eventually('two pods are gone', async (tell) => {
    const now = await containers()
    tell(now.join('\n'))
    return now.length === before.length - 4 && now.every((id) => before.includes(id)) ? true : undefined
  })
})
