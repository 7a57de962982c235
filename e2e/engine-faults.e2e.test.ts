// The Docker Engine fails, or somebody does things to its containers past Skiff.
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { shellPod } from './example-image.ts'
import { type FaultBed, makeBed } from './fault-bed.ts'
import { eventually, ok } from './machine.ts'

let bed: FaultBed
beforeAll(async () => {
  bed = await makeBed({ name: 'engine', replicas: 6 })
})
afterAll(async () => {
  await bed[Symbol.asyncDispose]()
})

const ready = async (): Promise<string> =>
  await bed.kubectl('get', 'node', 'one', '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")]}')

test('a killed engine that keeps its containers', async () => {
  await bed.harmless({
    fault: 'Docker Engine kill -9 and started again, live-restore',
    act: async () => {
      bed.m.engine.signal('SIGKILL')
      await bed.m.engine.start()
    },
  })
})

test('an engine that is stopped in good order and started again, while a container ends', async () => {
  const victim = await bed.victim('web')
  const pid = Number(ok(await bed.m.docker('inspect', '-f', '{{.State.Pid}}', victim.id)))
  await bed.harmless({
    fault: 'Docker Engine SIGTERM, away for 5 s while a container dies, live-restore',
    mayRestart: ({ id }) => id === victim.id,
    act: async () => {
      bed.m.engine.signal('SIGTERM')
      await new Promise((resolve) => setTimeout(resolve, 2_500))
      process.kill(pid, 'SIGKILL')
      await new Promise((resolve) => setTimeout(resolve, 2_500))
      await bed.m.engine.start()
    },
  })
  const counts = await bed.kubectl(
    'get',
    'pods',
    '-n',
    'hello',
    '-o',
    'jsonpath={.items[*].status.containerStatuses[0].restartCount}',
  )
  expect(counts.split(' ').sort()).toEqual(['0', '0', '0', '0', '0', '1'])
})

test('a frozen engine makes the node not ready, and costs nothing when it goes on', async () => {
  await bed.harmless({
    fault: 'Docker Engine SIGSTOP until the node is not ready',
    limitMs: 90_000,
    act: async ({ isOver }) => {
      bed.m.engine.signal('SIGSTOP')
      try {
        await eventually(
          'the node says that its engine hangs',
          async (tell) => {
            const text = await ready()
            tell(text)
            return text.includes('"reason":"EngineNotReady"') && text.includes('"status":"False"') ? true : undefined
          },
          // A look each 10 s, and 15 s for the engine to answer.
          60_000,
        )
      } finally {
        bed.m.engine.signal('SIGCONT')
        isOver()
      }
    },
  })
})

test.each([
  ['killed', 'kill'],
  ['stopped', 'stop -t 1'],
  ['removed', 'rm -f'],
])('a container that is %s behind our back', async (what, command) => {
  const victim = await bed.victim('web')
  await bed.harmless({
    fault: `container ${what} by hand`,
    mayRestart: ({ id }) => id === victim.id,
    act: async () => void ok(await bed.m.docker(...command.split(' '), victim.id)),
  })
})

test('a sandbox that is removed behind our back', async () => {
  const victim = await bed.victim('POD')
  await bed.harmless({
    fault: 'sandbox removed by hand',
    mayRestart: ({ podUid }) => podUid === victim.podUid,
    act: async () => void ok(await bed.m.docker('rm', '-f', victim.id)),
  })
})

test('a paused container fails its probes and is restarted; without probes it is told of, and can be deleted', async () => {
  const probe = { exec: { command: ['true'] }, periodSeconds: 1, failureThreshold: 2, timeoutSeconds: 2 }
  await bed.apply(shellPod('probed', 'exec sleep 100000', { container: { livenessProbe: probe } }))
  await bed.apply(shellPod('bare', 'exec sleep 100000'))
  await bed.kubectl('wait', '--for=condition=Ready', 'pod/probed', 'pod/bare', '--timeout=60s')
  const { containers = [] } = await bed.checker.look()
  const idOf = (pod: string): string =>
    containers.find((one) => one.pod === `default/${pod}` && one.container === 'main')?.id ?? ''
  await bed.harmless({
    fault: 'container with a liveness probe paused by hand',
    mayRestart: ({ id }) => id === idOf('probed'),
    act: async () => void ok(await bed.m.docker('pause', idOf('probed'))),
  })
  await bed.harmless({
    fault: 'container without probes paused by hand, and let go on',
    act: async ({ isOver }) => {
      ok(await bed.m.docker('pause', idOf('bare')))
      await eventually('an event says so', async (tell) => {
        const events = await bed.kubectl('get', 'events', '--field-selector=involvedObject.name=bare')
        tell(events)
        return events.includes('ContainerPaused') ? true : undefined
      })
      ok(await bed.m.docker('unpause', idOf('bare')))
      isOver()
    },
  })
  await bed.harmless({
    fault: 'pod with a paused container deleted',
    mayRestart: ({ pod }) => pod === 'default/bare',
    mayGo: ({ key }) => key === 'default/bare',
    act: async () => {
      ok(await bed.m.docker('pause', idOf('bare')))
      await bed.kubectl('delete', 'pod', 'bare', '--wait=false')
    },
  })
})

test('an image that is deleted under a running container changes nothing until the container ends, which is told', async () => {
  ok(await bed.m.docker('tag', 'skiff/hello:1', 'skiff/goes:1'))
  await bed.apply(shellPod('imageless', 'exec sleep 100000', { container: { image: 'skiff/goes:1', imagePullPolicy: 'Never' } }))
  await bed.kubectl('wait', '--for=condition=Ready', 'pod/imageless', '--timeout=60s')
  await bed.harmless({
    fault: 'image deleted under a running container',
    act: async () => void ok(await bed.m.docker('rmi', '-f', 'skiff/goes:1')),
  })
  const { containers = [] } = await bed.checker.look()
  const main = containers.find((one) => one.pod === 'default/imageless' && one.container === 'main')
  await bed.harmless({
    fault: 'container killed whose image is gone, until the image is there again',
    mayRestart: ({ id }) => id === main?.id,
    limitMs: 90_000,
    act: async ({ isOver }) => {
      ok(await bed.m.docker('kill', main?.id ?? ''))
      await eventually('the pod says what is missing', async (tell) => {
        const text = await bed.kubectl('get', 'pod', 'imageless', '-o', 'jsonpath={.status.containerStatuses[0].state}')
        tell(text)
        return text.includes('ErrImageNeverPull') ? true : undefined
      })
      ok(await bed.m.docker('tag', 'skiff/hello:1', 'skiff/goes:1'))
      isOver()
    },
  })
})
