// An engine that does not keep its containers, as on a host where Skiff did not install it.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type FaultBed, makeBed } from './fault-bed.ts'

let bed: FaultBed
beforeAll(async () => {
  bed = await makeBed({ name: 'restart', liveRestore: false })
})
afterAll(async () => {
  await bed[Symbol.asyncDispose]()
})

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'an engine without live-restore that ends by %s takes all containers with it',
  async (signal) => {
    const before = (await bed.checker.look()).pods?.map(({ uid }) => uid).sort()
    await bed.harmless({
      fault: `Docker Engine ${signal} and started again, without live-restore`,
      mayRestart: () => true,
      limitMs: 120_000,
      act: async ({ isOver }) => {
        bed.m.engine.signal(signal)
        await bed.m.engine.start()
        isOver()
      },
    })
    // The same pods, whose containers were made anew.
    expect((await bed.checker.look()).pods?.map(({ uid }) => uid).sort()).toEqual(before)
  },
)
