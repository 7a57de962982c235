// The Docker Engine fails, or somebody does things to its containers past Skiff.
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
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
