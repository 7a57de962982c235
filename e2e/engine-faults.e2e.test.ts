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

/** A pod that runs, and the id of its container. */
async function runningPod(name: string, container: object = {}): Promise<string> {
  await bed.apply(shellPod(name, 'exec sleep 100000', { container }))
  await bed.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s')
  const id = await bed.kubectl('get', 'pod', name, '-o', 'jsonpath={.status.containerStatuses[0].containerID}')
  return id.replace('docker://', '')
}

const hasEvent = async (pod: string, reason: string): Promise<string> =>
  await eventually(`an event ${reason} of ${pod}`, async (tell) => {
    const [namespace = '', name = ''] = pod.split('/')
    const selector = `involvedObject.name=${name}`
    const text = await bed.kubectl('get', 'events', '-n', namespace, '--field-selector', selector, '-o', 'json')
    const { items } = JSON.parse(text) as { readonly items: readonly { readonly reason: string; readonly message: string }[] }
    tell(items.map((event) => `${event.reason}: ${event.message}`).join('\n'))
    return items.find((event) => event.reason === reason)?.message
  })

test('a container that is paused is started again by its liveness probe, also one that is a command', async () => {
  const probe = { exec: { command: ['true'] }, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 2 }
  const id = await runningPod('watched', { livenessProbe: probe })
  const restarts = async (): Promise<string> =>
    await bed.kubectl('get', 'pod', 'watched', '-o', 'jsonpath={.status.containerStatuses[0].restartCount}')
  await bed.harmless({
    fault: 'container paused by hand, liveness probe that is a command',
    mayRestart: (container) => container.id === id,
    act: async () => void ok(await bed.m.docker('pause', id)),
    // Docker lets a container that is to be stopped go on first: it may run for its grace period.
    alsoWhen: async () => (await restarts()) === '1',
  })
  expect(await hasEvent('default/watched', 'Unhealthy')).toBe('Liveness probe failed: the container is paused')
  expect(await restarts()).toBe('1')
})

test('a paused container without a liveness probe is told of, is out of service, and goes on when it may', async () => {
  const victim = await bed.victim('web')
  const [namespace = '', name = ''] = victim.pod.split('/')
  await bed.harmless({
    fault: 'container paused by hand, no liveness probe, until somebody unpauses it',
    act: async ({ isOver }) => {
      ok(await bed.m.docker('pause', victim.id))
      expect(await hasEvent(victim.pod, 'ContainerPaused')).toContain('docker unpause')
      await bed.kubectl('wait', '-n', namespace, '--for=condition=Ready=false', `pod/${name}`, '--timeout=60s')
      ok(await bed.m.docker('unpause', victim.id))
      isOver()
    },
  })
})

test('a pod whose containers are paused can be deleted', async () => {
  await bed.harmless({
    fault: 'pod deleted whose container and sandbox are paused',
    mayRestart: ({ pod }) => pod === 'default/held',
    mayGo: ({ key }) => key === 'default/held',
    act: async () => {
      const id = await runningPod('held')
      const sandbox = (await bed.checker.look()).containers?.find(
        ({ pod, container }) => pod === 'default/held' && container === 'POD',
      )
      ok(await bed.m.docker('pause', id, sandbox?.id ?? ''))
      await bed.kubectl('delete', 'pod', 'held', '--timeout=30s')
    },
  })
})

test('an image that is deleted under its containers is missed only when one is to be started', async () => {
  // Nobody listens there, so that a pull fails at once.
  const image = '127.0.0.1:1/hello:1'
  const tag = async (): Promise<void> => void ok(await bed.m.docker('tag', 'skiff/hello:1', image))
  await tag()
  const ids = [
    await runningPod('pulls', { image, imagePullPolicy: 'IfNotPresent' }),
    await runningPod('never-pulls', { image, imagePullPolicy: 'Never' }),
  ]
  const waiting = async (name: string): Promise<string> =>
    await bed.kubectl('get', 'pod', name, '-o', 'jsonpath={.status.containerStatuses[0].state.waiting}')
  await bed.harmless({
    fault: 'image deleted under running containers that end later, until it is there again',
    mayRestart: ({ id }) => ids.includes(id),
    act: async ({ isOver }) => {
      ok(await bed.m.docker('rmi', '-f', image))
      ok(await bed.m.docker('kill', ...ids))
      await eventually('the pods say what is missing', async (tell) => {
        const texts = [await waiting('pulls'), await waiting('never-pulls')] as const
        tell(texts.join('\n'))
        const [pulls, never] = texts
        return pulls.includes(`Back-off pulling image \\"${image}\\"`) && never.includes('ErrImageNeverPull') ? true : undefined
      })
      await tag()
      isOver()
    },
  })
})
