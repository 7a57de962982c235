import { expect, test } from 'vitest'
import { FakeClock } from '../../../lib/clock.ts'
import { runtimeConformance, testSpec } from '../conformance.ts'
import { HollowRuntime } from './hollow-runtime.ts'
import type { Behaviour, HollowOptions } from './script.ts'

const opts = { signal: new AbortController().signal }
const image = 'skiff-test/hollow:1'

const behaviours: Readonly<Record<string, Behaviour>> = {
  wait: { termExitCode: 0 },
  fail: { exitAfterMs: 100, exitCode: 3, log: 'out\n', errorLog: 'err\n' },
  missing: { startError: 'exec: "missing": executable file not found in $PATH' },
  stubborn: { onTerm: 'ignores' },
}

function hollow(options: HollowOptions = {}): { runtime: HollowRuntime; clock: FakeClock } {
  const clock = new FakeClock()
  const script = ({ command }: { readonly command: readonly string[] | undefined }) => behaviours[command?.[0] ?? ''] ?? {}
  return { runtime: new HollowRuntime(clock, { images: [{ ref: image }], script, ...options }), clock }
}

runtimeConformance('hollow', async () => {
  const { runtime, clock } = hollow()
  return {
    runtime,
    image,
    waitForever: { command: ['wait'], args: undefined },
    printAndFail: { command: ['fail'], args: undefined },
    noSuchCommand: { command: ['missing'], args: undefined },
    settle: async (ms) => {
      clock.step(ms)
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
})

test('a container that ignores SIGTERM is killed when the grace is over, not before', async () => {
  const { runtime, clock } = hollow()
  const id = await runtime.create(testSpec(image, { command: ['stubborn'] }, 'u'), opts)
  await runtime.start(id, opts)
  const stopped = runtime.stop(id, 5000, opts)
  await new Promise((resolve) => setImmediate(resolve))
  clock.step(4999)
  expect((await runtime.listPod('u', opts))[0]?.status).toBe('running')
  clock.step(1)
  await stopped
  expect((await runtime.listPod('u', opts))[0]).toMatchObject({ status: 'exited', exitCode: 137 })
})

test('a lost answer has had its effect, a failure has not', async () => {
  const { runtime } = hollow({ faults: (call) => (call === 'create' ? 'answerLost' : undefined) })
  await expect(runtime.create(testSpec(image, {}, 'u'), opts)).rejects.toMatchObject({ code: 'Unavailable' })
  expect(await runtime.listPod('u', opts)).toHaveLength(1)
  runtime.options = { faults: () => 'fails' }
  await expect(runtime.create(testSpec(image, {}, 'v'), opts)).rejects.toMatchObject({ code: 'Unavailable' })
  runtime.options = {}
  expect(await runtime.listPod('v', opts)).toHaveLength(0)
})
