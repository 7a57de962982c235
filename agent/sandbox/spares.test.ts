import { afterEach, expect, test } from 'vitest'
import type { Pod } from '../../api/kinds/pod.ts'
import { FakeClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { seededRandom } from '../../lib/random.ts'
import { HostPorts } from '../network/host-ports.ts'
import { NodeNetwork } from '../network/node-network.ts'
import { HollowRuntime } from '../runtime/hollow/hollow-runtime.ts'
import type { Call, Fault } from '../runtime/hollow/script.ts'
import { type ContainerState, isSpareUid } from '../runtime/runtime.ts'
import { createSandboxes } from './sandboxes.ts'
import { Spares } from './spares.ts'

const opts = { signal: new AbortController().signal }
const running: AbortController[] = []
afterEach(() => {
  for (const one of running.splice(0)) one.abort(new Error('the test is over'))
})

/** A node whose engine is hollow, and where connecting succeeds at once. */
function setUp({ podCidr = '10.85.3.0/24' }: { podCidr?: string } = {}) {
  const clock = new FakeClock()
  let fault: { call: Call; fault: Fault } | undefined
  const engine = new HollowRuntime(clock, {
    faults: (call) => {
      if (fault?.call !== call) return undefined
      const { fault: found } = fault
      fault = undefined
      return found
    },
  })
  const run = async () => ({ code: 0, stdout: '', stderr: '' })
  const network = new NodeNetwork({ bridge: 'skiff0', run, log: silentLog })
  network.configure({ podCidr, clusterCidr: '10.85.0.0/16', serviceCidr: '10.96.0.0/16' })
  let isBusy = false
  const gates = {
    program: async () => '/gate',
    isThere: async ({ containerId }: { readonly containerId: string }) =>
      (await engine.state(containerId, opts))?.status === 'running',
    nameEarly: async () => false,
    open: async () => true,
  }
  const wiring = { make: async () => undefined, ensure: async () => undefined, remove: async () => undefined }
  const newSandboxes = (size?: number) => {
    const sandboxes = createSandboxes({
      ...{ runtime: engine, network, nodeIp: '192.0.2.7', run, wiring, gates, clock, log: silentLog },
      hostPorts: new HostPorts(),
      ...(size !== undefined && { spares: { size, most: Math.max(size, 8), isBusy: () => isBusy, random: seededRandom(size) } }),
    })
    const controller = new AbortController()
    running.push(controller)
    void sandboxes.run(controller.signal).catch(() => undefined) // Ends with the test.
    return sandboxes
  }
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 50) {
      clock.step(50)
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return {
    ...{ engine, newSandboxes, pass },
    failNext: (call: Call, how: Fault) => (fault = { call, fault: how }),
    setBusy: (now: boolean) => (isBusy = now),
    spares: async () => (await engine.list(opts)).filter(({ identity }) => isSpareUid(identity.podUid)),
  }
}
type World = ReturnType<typeof setUp>

const pod = (uid: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `pod-${uid}`, namespace: 'default', uid },
  spec: { containers: [{ name: 'main', image: 'x' }] },
})
const seen = ({ engine }: World, uid: string): Promise<readonly ContainerState[]> => engine.listPod(uid, opts)
async function expectOwnAddresses({ engine }: World): Promise<void> {
  const all = (await engine.list(opts)).map(({ annotations }) => annotations['ip'])
  expect(new Set(all).size).toBe(all.length)
}

test('spares are made while no pod is worked on, and no more than wanted', async () => {
  const world = setUp()
  world.setBusy(true)
  world.newSandboxes(3)
  await world.pass(5_000)
  expect(await world.spares()).toEqual([])
  world.setBusy(false)
  await world.pass(5_000)
  expect(await world.spares()).toHaveLength(3)
  await expectOwnAddresses(world)
})

test('a pod takes one over with its address, under the name that one made for it would have', async () => {
  const world = setUp()
  const sandboxes = world.newSandboxes(1)
  await world.pass(1_000)
  const [spare] = await world.spares()
  const taken = await sandboxes.ensure(pod('a'), [], opts)
  const [state] = await seen(world, 'a')
  // What the engine would say of it need not be asked.
  expect(taken).toEqual({ containerId: spare?.id, ip: spare?.annotations['ip'], hostname: 'pod-a', state })
  expect(state?.identity).toMatchObject({ podUid: 'a', podName: 'pod-a', container: 'POD', attempt: 0 })
  // Asked again, also by a new agent, it is the same.
  expect(await sandboxes.ensure(pod('a'), await seen(world, 'a'), opts)).toEqual(taken)
  expect(await world.newSandboxes(1).ensure(pod('a'), await seen(world, 'a'), opts)).toEqual(taken)
})

test.each<Fault>(['answerLost', 'fails'])('a taking that %s makes neither two sandboxes of a pod nor a leak', async (how) => {
  const world = setUp()
  const sandboxes = world.newSandboxes(2)
  await world.pass(2_000)
  world.failNext('adopt', how)
  await expect(sandboxes.ensure(pod('a'), [], opts)).rejects.toThrow()
  await world.pass(500)
  const { containerId } = await sandboxes.ensure(pod('a'), await seen(world, 'a'), opts)
  expect((await seen(world, 'a')).map(({ id }) => id)).toEqual([containerId])
  await world.pass(5_000)
  expect(await world.spares()).toHaveLength(2)
  await expectOwnAddresses(world)
})

test('after pods have come in a group as many are kept, for five minutes', async () => {
  const world = setUp()
  const sandboxes = world.newSandboxes(2)
  await world.pass(2_000)
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map((uid) => sandboxes.ensure(pod(uid), [], opts)))
  await world.pass(5_000)
  expect(await world.spares()).toHaveLength(5)
  await world.pass(4.8 * 60_000)
  expect(await world.spares()).toHaveLength(5)
  await world.pass(30_000)
  expect(await world.spares()).toHaveLength(2)
  await expectOwnAddresses(world)
})

test('two pods that ask at once get two sandboxes', async () => {
  const world = setUp()
  const sandboxes = world.newSandboxes(2)
  await world.pass(2_000)
  const all = await Promise.all(['a', 'b', 'c'].map((uid) => sandboxes.ensure(pod(uid), [], opts)))
  expect(new Set(all.map(({ containerId }) => containerId)).size).toBe(3)
  expect(all.filter(({ hostname }) => hostname !== undefined)).toHaveLength(2)
  await expectOwnAddresses(world)
})

test('a pod that has a sandbox which was not seen takes none, and none is lost', async () => {
  const world = setUp()
  const sandboxes = world.newSandboxes(1)
  await world.pass(1_000)
  await world.newSandboxes().ensure(pod('a'), [], opts)
  await expect(sandboxes.ensure(pod('a'), [], opts)).rejects.toMatchObject({ code: 'Conflict' })
  expect(await seen(world, 'a')).toHaveLength(1)
  expect((await sandboxes.ensure(pod('b'), [], opts)).hostname).toBe('pod-b')
})

test('a spare that is gone or dead is passed over, and replaced', async () => {
  const world = setUp()
  const sandboxes = world.newSandboxes(3)
  await world.pass(3_000)
  const [gone, dead, good] = await world.spares()
  await world.engine.remove(gone?.id ?? '', opts)
  world.engine.crash(dead?.id ?? '')
  expect((await sandboxes.ensure(pod('a'), [], opts)).containerId).toBe(good?.id)
  sandboxes.noticed(await world.engine.list(opts))
  await world.pass(5_000)
  const now = await world.spares()
  expect(now.map(({ status }) => status)).toEqual(['running', 'running', 'running'])
  await expectOwnAddresses(world)
})

test('a new agent keeps the spares that it finds, and removes what is too much', async () => {
  const world = setUp()
  world.newSandboxes(4)
  await world.pass(4_000)
  const before = (await world.spares()).map(({ id }) => id)
  for (const one of running.splice(0)) one.abort(new Error('the agent ends'))
  const sandboxes = world.newSandboxes(2)
  await world.pass(2_000)
  const after = (await world.spares()).map(({ id }) => id)
  expect(after).toHaveLength(2)
  for (const id of after) expect(before).toContain(id)
  const { containerId } = await sandboxes.ensure(pod('a'), [], opts)
  expect(before).toContain(containerId)
})

test('spares leave addresses to pods that cannot take one', async () => {
  const world = setUp({ podCidr: '10.85.3.0/28' })
  world.newSandboxes(4)
  await world.pass(4_000)
  expect(await world.spares()).toEqual([])
})

test('one that comes back when another has been made in its place is too much, and goes', async () => {
  const clock = new FakeClock()
  const made: ContainerState[] = []
  const there = new Set<string>()
  const spares = new Spares({
    ...{ size: 2, most: 2, isBusy: () => false, clock, random: seededRandom(1), log: silentLog },
    list: async () => made.filter(({ id }) => there.has(id)),
    make: async () => {
      const id = `c${made.length}`
      const identity = { podUid: `spare-${id}`, podNamespace: '', podName: '', container: 'POD', attempt: 0, specHash: '' }
      const state: ContainerState = {
        ...{
          id,
          identity: { ...identity, role: 'sandbox' },
          status: 'running',
          image: '',
          imageId: '',
          createdMs: 0,
          startedMs: 0,
        },
        ...{ finishedMs: undefined, exitCode: undefined, oomKilled: false, error: undefined, pid: 1, annotations: {} },
      }
      made.push(state)
      there.add(id)
      return state
    },
    keep: async () => true,
    discard: async ({ id }) => void there.delete(id),
    settle: () => undefined,
  })
  const controller = new AbortController()
  running.push(controller)
  void spares.run(controller.signal)
  const pass = async (): Promise<void> => {
    for (let i = 0; i < 40; i++) {
      clock.step(50)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await pass()
  const [out, other] = [spares.take(), spares.take()]
  if (out === undefined || other === undefined) throw new Error('two spares are ready')
  there.delete(other.id)
  spares.taken(other)
  await pass()
  expect(there.size).toBe(3)
  spares.giveBack(out)
  await pass()
  expect(there.size).toBe(2)
  expect(there.has(spares.take()?.id ?? '')).toBe(true)
})
