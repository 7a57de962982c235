// The agent dies at each step of a pod's life (kill -9), and the next one goes on from there: nothing is lost, made
// twice, left behind, or restarted without need.
import type { ChildProcess } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Failpoint, failpoints } from '../agent/failpoints.ts'
import { prepareImage, shellPod } from './example-image.ts'
import { type Checker, type Fault, noHarm, startChecker } from './invariants.ts'
import { createMachine, eventually, type Machine, ok, root } from './machine.ts'

let m: Machine
let checker: Checker
let armed: string
let agent: ChildProcess
let log = ''
const untried = new Set<Failpoint>(failpoints)

beforeAll(async () => {
  m = await createMachine('failpoints')
  armed = join(m.folder, 'failpoint')
  m.env['SKIFF_FAILPOINTS'] = armed
  await prepareImage(m)
  ok(await m.ctl('up', '--node-name', 'one'))
  ok(await m.ctl('apply', '-f', join(root, 'manifests/hello.yaml')))
  await kubectl('create', 'configmap', 'config', '--from-literal=a=b')
  await kubectl('create', 'secret', 'generic', 'secret', '--from-literal=c=d')
  process.kill(Number(readFileSync(join(m.dataDir, 'run/agent.pid'), 'utf8').split(' ')[0]), 'SIGKILL')
  startAgent()
  checker = await startChecker(m, { name: 'failpoints' })
})
afterAll(async () => {
  agent.kill('SIGKILL')
  await checker[Symbol.asyncDispose]()
  await m[Symbol.asyncDispose]()
})

const kubectl = async (...args: readonly string[]): Promise<string> => ok(await m.kubectl(...args))

/** One container with a volume of each of two kinds, which takes half a second to end. */
const pod = (name: string, image?: string): string =>
  shellPod(name, 'trap "sleep 0.5; exit 0" TERM; while :; do sleep 0.1; done', {
    spec: {
      terminationGracePeriodSeconds: 10,
      volumes: [
        { name: 'config', configMap: { name: 'config' } },
        { name: 'secret', secret: { secretName: 'secret' } },
      ],
    },
    container: {
      ...(image !== undefined && { image }),
      volumeMounts: [
        { name: 'config', mountPath: '/config' },
        { name: 'secret', mountPath: '/secret' },
      ],
    },
  })
const apply = async (manifest: string): Promise<void> => {
  ok(await m.run('kubectl', ['apply', '-f', '-'], { input: manifest }))
}

/** Past ctl, which takes a second longer to look at everything else. */
function startAgent(): void {
  const program = join(root, 'dist/programs/agent.mjs')
  const places = ['--data-dir', join(m.dataDir, 'agent'), '--docker-host', m.engine.host]
  agent = m.spawn(process.execPath, [program, 'run', '--node-name', 'one', ...places])
  for (const output of [agent.stdout, agent.stderr])
    output?.on('data', (chunk: Buffer) => {
      log += chunk.toString()
    })
}

/** What a test does while the agent waits for its death, which comes by it; then another agent is started. */
function dies(at: string, then: () => Promise<unknown>, after: () => Promise<unknown> = async () => undefined): Fault['act'] {
  untried.delete(at.split(' ')[0] as Failpoint)
  return async ({ isOver }) => {
    writeFileSync(armed, at)
    try {
      await then()
      await eventually(`the agent dies at ${at}`, async () => (agent.signalCode === 'SIGKILL' ? true : undefined), 30_000)
    } finally {
      rmSync(armed, { force: true })
    }
    isOver()
    log = ''
    await after()
    startAgent()
    await eventually('the next agent has a session', async (tell) => {
      tell(log)
      return log.includes('"message":"session opened"') ? true : undefined
    })
  }
}

test.each([
  'assignment/received',
  'checkpoint/files-written',
  'checkpoint/written',
  'assignment/unconfirmed',
  'volumes/half-written',
  'image/looked-up',
  'sandbox/created',
  'sandbox/started',
  'sandbox/taken',
  'command/run',
  'container/created',
  'container/started',
  'status/sent',
  'status/receipt',
])('an agent that dies at %s while a pod is made', async (at) => {
  const name = `made-${at.replaceAll(/\W/g, '-')}`
  if (at === 'sandbox/taken')
    await eventually('a sandbox is ready', async () =>
      ok(await m.docker('ps', '-q', '--filter', 'name=_spare-')) === '' ? undefined : true,
    )
  const act = dies(at, () => apply(pod(name)))
  const row = await checker.during({ fault: `agent kill -9, pod being made: ${at}`, act, quietMs: 1_000 })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
})

test.each(['container/stopping', 'container/stopped', 'container/removed', 'container/removed 2', 'volumes/cleaned', 'end/sent'])(
  'an agent that dies at %s while a pod is deleted',
  async (at) => {
    const name = `gone-${at.replaceAll(/\W/g, '-')}`
    await apply(pod(name))
    await kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=30s')
    const act = dies(at, () => kubectl('delete', 'pod', name, '--wait=false'))
    const row = await checker.during({
      fault: `agent kill -9, pod being deleted: ${at}`,
      act,
      quietMs: 1_000,
      mayRestart: (container) => container.pod === `default/${name}`,
      mayGo: ({ key }) => key === `default/${name}`,
    })
    expect(row).toMatchObject({ ...noHarm, problems: [] })
    expect((await kubectl('get', 'pods', '-o', 'name')).split('\n')).not.toContain(`pod/${name}`)
  },
)

test('an agent that dies while an image is pulled', async () => {
  const act = dies(
    'pull/begun',
    () => apply(pod('pulled', 'skiff/absent:1')),
    async () => ok(await m.docker('tag', 'skiff/hello:1', 'skiff/absent:1')),
  )
  const row = await checker.during({ fault: 'agent kill -9, image being pulled', act, quietMs: 1_000 })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
})

test('an agent that dies while somebody is in a container', async () => {
  const name = 'made-container-started'
  const act = dies('exec/open', () => m.kubectl('exec', name, '--', 'sh', '-c', 'echo here; sleep 1'))
  const row = await checker.during({ fault: 'agent kill -9, exec open', act, quietMs: 1_000 })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
})

test('an agent that dies when it has listed what is there, at its start', async () => {
  agent.kill('SIGKILL')
  const act = dies('engine/listed', async () => startAgent())
  const row = await checker.during({ fault: 'agent kill -9, twice in a row', act, quietMs: 1_000 })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
})

test('an agent that dies with a new certificate in its hands', async () => {
  const act = dies('certificate/received', () => m.ctl('certs', 'rotate'))
  const row = await checker.during({ fault: 'agent kill -9, certificate received', act, quietMs: 1_000 })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
})

test('all those pods were made once, and hold what they should', async () => {
  const made = (await kubectl('get', 'pods', '--no-headers', '-o', 'custom-columns=:.metadata.name,:..restartCount'))
    .trim()
    .split('\n')
  expect(made.length).toBeGreaterThan(10)
  for (const line of made) {
    expect(line).toMatch(/ 0$/)
    const [name] = line.split(' ')
    const id = ok(await m.docker('ps', '-q', '--filter', `name=skiff_main_${name}_`)).trim()
    expect(ok(await m.docker('exec', id, 'cat', '/config/a', '/secret/c'))).toBe('bd')
  }
})

test('no step was forgotten', () => {
  expect([...untried]).toEqual([])
})

test('without the word of a test there are no such places', async () => {
  const env = { SKIFF_FAILPOINTS: armed, SKIFF_DEBUG_CHECKS: '' }
  const args = ['run', '--node-name', 'x', '--data-dir', join(m.folder, 'x')]
  const result = await m.run(process.execPath, [join(root, 'dist/programs/agent.mjs'), ...args], { env })
  expect(result.code).toBe(1)
  expect(result.stderr).toContain('with SKIFF_DEBUG_CHECKS=1 only')
})
