import { afterEach, expect, test } from 'vitest'
import { PodWorld, type PodWorldOptions } from '../runtime/hollow/testing/pod-world.ts'
import { createContainerIds } from './container-id.ts'
import type { PodStatus } from './pod-types.ts'
import { testPod } from './testing/doubles.ts'

const opts = { signal: new AbortController().signal }
let world: PodWorld
let said: PodStatus | undefined
afterEach(async () => {
  said = undefined
  await world.stop()
})

async function started(options: PodWorldOptions): Promise<ReturnType<typeof createContainerIds>> {
  world = new PodWorld(options)
  world.desired.put(testPod())
  await world.start()
  return createContainerIds({ runtime: world.runtime, desired: world.desired, clock: world.clock, statusOf: () => said })
}

const ref = { podUid: 'uid-1', container: 'web', previous: false }

test('the running container is found, and has no previous one', async () => {
  const idOf = await started({})
  expect(await idOf(ref, opts)).toBe((await world.containers())[0]?.id)
  await expect(idOf({ ...ref, previous: true }, opts)).rejects.toThrow(
    'previous terminated container "web" in pod "web" not found',
  )
})

test('a container that waits to be restarted is the previous one and still the one to show', async () => {
  const idOf = await started({ script: ({ identity }) => (identity.role === 'app' ? { exitAfterMs: 1000, exitCode: 1 } : {}) })
  await world.pass(1500)
  const [first, second] = [...(await world.containers())].sort((a, b) => a.identity.attempt - b.identity.attempt)
  expect(await idOf(ref, opts)).toBe(second?.id)
  expect(await idOf({ ...ref, previous: true }, opts)).toBe(first?.id)
  await world.pass(1500)
  expect(await idOf(ref, opts)).toBe(second?.id)
  expect(await idOf({ ...ref, previous: true }, opts)).toBe(second?.id)
})

test('what is not there is said why', async () => {
  const idOf = await started({ images: [], registry: () => ({ error: 'away' }) })
  await expect(idOf(ref, opts)).rejects.toThrow('container "web" in pod "web" is waiting to start: ContainerCreating')
  said = world.status()
  await expect(idOf(ref, opts)).rejects.toThrow("is waiting to start: image can't be pulled")
  await expect(idOf({ ...ref, container: 'nope' }, opts)).rejects.toThrow('container nope is not valid for pod web')
  await expect(idOf({ ...ref, podUid: 'other' }, opts)).rejects.toThrow('pods "other" not found')
})
