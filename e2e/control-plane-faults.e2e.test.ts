// The only control plane is killed in the middle of a rollout, and is away for a minute while containers crash.
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { prepareImage } from './example-image.ts'
import { type Checker, noHarm, startChecker } from './invariants.ts'
import { createMachine, eventually, type Machine, ok, root } from './machine.ts'
import { podTools } from './pod-tools.ts'

const replicas = 6
const maxUnavailable = 1
const maxSurge = 1

let m: Machine
let checker: Checker
const { apply, ctl } = podTools(() => m)

const rolled = (version: string): string =>
  JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'rolled' },
    spec: {
      replicas,
      strategy: { rollingUpdate: { maxUnavailable, maxSurge } },
      selector: { matchLabels: { app: 'rolled' } },
      template: {
        metadata: { labels: { app: 'rolled' } },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: 'web',
              image: 'skiff/hello:1',
              imagePullPolicy: 'IfNotPresent',
              env: [{ name: 'GREETING', value: version }],
              readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  })

beforeAll(async () => {
  m = await createMachine('cpfaults')
  await prepareImage(m)
  ok(await m.ctl('up'))
  ok(await m.ctl('apply', '-f', join(root, 'manifests/hello.yaml')))
  await apply(rolled('one'))
  checker = await startChecker(m, { name: 'control-plane' })
})
afterAll(async () => {
  for (const each of [checker, m]) await each[Symbol.asyncDispose]()
})

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const controlPlanePid = async (): Promise<number> =>
  Number(/control plane: running \(pid (\d+)\)/.exec((await m.ctl('status')).stdout)?.[1])

/** Ready pods of the deployment in each look, for as long as `run` takes; of etcd, past Skiff. */
async function readyDuring(run: () => Promise<void>): Promise<readonly number[]> {
  const counts: number[] = []
  let isOver = false
  const looking = (async () => {
    while (!isOver) {
      const { pods } = await checker.look()
      const all = pods?.filter(({ key }) => key.startsWith('default/rolled-'))
      if (all !== undefined) counts.push(all.filter(({ isReady, isDeleted }) => isReady && !isDeleted).length)
      await wait(100)
    }
  })()
  try {
    await run()
  } finally {
    isOver = true
    await looking
  }
  return counts
}

test('a control plane that is killed in the middle of a rollout: the rollout ends, and never took more away than it may', async () => {
  let counts: readonly number[] = []
  let between: readonly string[] = []
  const row = await checker.during({
    fault: 'control plane killed (kill -9) in the middle of a rollout',
    mayRestart: ({ pod }) => pod.startsWith('default/rolled-'),
    alsoWhen: async () => {
      const path = '{.status.updatedReplicas} {.status.readyReplicas} {.status.replicas}'
      return (
        (await m.ctl('get', 'deployment', 'rolled', '-o', `jsonpath=${path}`)).stdout === `${replicas} ${replicas} ${replicas}`
      )
    },
    act: async ({ isOver }) => {
      const pid = await controlPlanePid()
      counts = await readyDuring(async () => {
        await apply(rolled('two'), '--no-wait')
        await eventually('the rollout is under way', async () => {
          const { sets = [] } = await checker.look()
          between = sets
            .filter(({ key, replicas: wanted }) => key.startsWith('default/rolled-') && wanted > 0)
            .map(({ key }) => key)
          return between.length === 2 ? true : undefined
        })
        process.kill(pid, 'SIGKILL')
        await wait(3_000)
        isOver()
        ok(await m.ctl('up'))
        await ctl('rollout', 'status', 'deployment/rolled', '--timeout=90s')
      })
    },
  })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
  expect(between).toHaveLength(2)
  expect(counts.length).toBeGreaterThan(10)
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(replicas - maxUnavailable)
  expect(Math.max(...counts)).toBeLessThanOrEqual(replicas + maxSurge)
})

test('with the control plane away for a minute containers that crash are restarted, and it learns of it when it is back', async () => {
  const crashed = new Map<string, string>()
  const hello = async () =>
    ((await checker.look()).containers ?? []).filter(
      ({ pod, container, state }) => pod.startsWith('hello/') && container !== 'POD' && state === 'running',
    )
  const victims = await hello()
  expect(victims).toHaveLength(3)
  const row = await checker.during({
    fault: 'control plane away for 60 s, three containers crash',
    mayRestart: ({ id }) => victims.some((one) => one.id === id),
    act: async ({ isOver }) => {
      process.kill(await controlPlanePid(), 'SIGKILL')
      const begin = performance.now()
      for (const { id, pod } of victims) {
        ok(await m.docker('kill', id))
        await eventually(`${pod} runs again`, async (tell) => {
          const now = await hello()
          tell(JSON.stringify(now))
          const next = now.find((one) => one.pod === pod && one.id !== id)
          if (next !== undefined) crashed.set(pod, next.id)
          return next === undefined ? undefined : true
        })
        await wait(5_000)
      }
      await wait(Math.max(0, 60_000 - (performance.now() - begin)))
      isOver()
      ok(await m.ctl('up'))
    },
  })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
  for (const [key, id] of crashed) {
    const pod = key.replace('hello/', '')
    await eventually(`the status of ${pod}`, async (tell) => {
      const path = '{.restartCount} {.containerID} {.ready} {.lastState.terminated.exitCode}'
      const status = await ctl(
        'get',
        'pod',
        pod,
        '-n',
        'hello',
        '-o',
        `jsonpath=${path.replaceAll('{.', '{.status.containerStatuses[0].')}`,
      )
      tell(status)
      return status === `1 docker://${id} true 137` ? true : undefined
    })
  }
})
