import { expect, test } from 'vitest'
import type { Pod } from '../../api/kinds/pod.ts'
import { FakeClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import type { Command, RunCommand } from '../host/command.ts'
import { HostPorts } from '../network/host-ports.ts'
import { NodeNetwork } from '../network/node-network.ts'
import { HollowRuntime } from '../runtime/hollow/hollow-runtime.ts'
import type { Call, Fault } from '../runtime/hollow/script.ts'
import type { ContainerState, Runtime } from '../runtime/runtime.ts'
import { createSandboxes } from './sandboxes.ts'

const opts = { signal: new AbortController().signal }
const ranges = { podCidr: '10.85.3.0/29', clusterCidr: '10.85.0.0/16', serviceCidr: '10.96.0.0/16' }

/**
 * A node whose engine is hollow and whose commands succeed. A hollow container has no process to connect, so `ensure`
 * fails after it made the sandbox: these tests look at addresses and containers, not at its result.
 */
function setUp({ cidr = ranges.podCidr }: { cidr?: string } = {}) {
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
  const commands: Command[] = []
  const run: RunCommand = async (command) => {
    commands.push(command)
    return { code: 0, stdout: '', stderr: '' }
  }
  const network = new NodeNetwork({ bridge: 'skiff0', run, log: silentLog })
  network.configure({ ...ranges, podCidr: cidr })
  const hostPorts = new HostPorts()
  const newSandboxes = () =>
    createSandboxes({ runtime: engine, network, hostPorts, nodeIp: '192.0.2.7', run, clock, log: silentLog })
  return { engine, clock, commands, newSandboxes, failNext: (call: Call, how: Fault) => (fault = { call, fault: how }) }
}

const pod = (uid: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: uid, namespace: 'default', uid },
  spec: { containers: [{ name: 'main', image: 'x' }] },
})
const addressesOf = async (engine: Runtime) => (await engine.list(opts)).map(({ annotations }) => annotations['ip'])
const seen = (engine: Runtime, uid: string): Promise<readonly ContainerState[]> => engine.listPod(uid, opts)

test('a create whose answer was lost keeps its address, and the container is found', async () => {
  const { engine, newSandboxes, failNext } = setUp()
  const sandboxes = newSandboxes()
  failNext('create', 'answerLost')
  await expect(sandboxes.ensure(pod('a'), [], opts)).rejects.toThrow()
  const first = await addressesOf(engine)
  await sandboxes.ensure(pod('b'), [], opts).catch(() => undefined)
  await sandboxes.ensure(pod('a'), await seen(engine, 'a'), opts).catch(() => undefined)
  const all = await addressesOf(engine)
  expect(all).toHaveLength(2)
  expect(new Set(all).size).toBe(2)
  expect(all).toContain(first[0])
})

test('agents that start anew between any two steps never give an address twice', async () => {
  const { engine, newSandboxes } = setUp()
  for (const uid of ['a', 'b', 'c', 'd', 'e'])
    await newSandboxes()
      .ensure(pod(uid), [], opts)
      .catch(() => undefined)
  const all = await addressesOf(engine)
  expect(all).toHaveLength(5)
  expect(new Set(all).size).toBe(5)
  await expect(newSandboxes().ensure(pod('f'), [], opts)).rejects.toThrow('no address left for pods on this node: all are in use')
})

test('pods that start at once right after the agent have different addresses', async () => {
  const { engine, newSandboxes } = setUp()
  await newSandboxes()
    .ensure(pod('old'), [], opts)
    .catch(() => undefined)
  // Each list takes longer than the one before, so that its answer is older than what was made meanwhile.
  const list = engine.list.bind(engine)
  let turns = 0
  engine.list = async (options) => {
    const states = await list(options)
    turns += 50
    for (let turn = turns; turn > 0; turn--) await Promise.resolve()
    return states
  }
  const sandboxes = newSandboxes()
  await Promise.all(['a', 'b', 'c', 'd'].map((uid) => sandboxes.ensure(pod(uid), [], opts).catch(() => undefined)))
  const all = await addressesOf(engine)
  expect(all).toHaveLength(5)
  expect(new Set(all).size).toBe(5)
})

test('a removed sandbox gives its address back, after a rest', async () => {
  const { engine, newSandboxes, clock } = setUp({ cidr: '10.85.3.0/30' })
  const sandboxes = newSandboxes()
  await sandboxes.ensure(pod('a'), [], opts).catch(() => undefined)
  await sandboxes.remove('a', await seen(engine, 'a'), opts)
  expect(await engine.list(opts)).toEqual([])
  await expect(sandboxes.ensure(pod('b'), [], opts)).rejects.toThrow('in use until a moment ago')
  clock.step(5_000)
  await sandboxes.ensure(pod('b'), [], opts).catch(() => undefined)
  expect(await addressesOf(engine)).toEqual(['10.85.3.2'])
})

test('while the node’s range is not known a pod waits, but not one with the node’s network', async () => {
  const { engine, clock } = setUp()
  const run: RunCommand = async () => ({ code: 0, stdout: '', stderr: '' })
  const network = new NodeNetwork({ bridge: 'skiff0', run, log: silentLog })
  const options = { runtime: engine, network, hostPorts: new HostPorts(), nodeIp: '192.0.2.7', run, clock, log: silentLog }
  const sandboxes = createSandboxes(options)
  await expect(sandboxes.ensure(pod('a'), [], opts)).rejects.toMatchObject({ code: 'Unavailable' })
  const onHost: Pod = { ...pod('h'), spec: { ...pod('h').spec, hostNetwork: true } }
  expect(await sandboxes.ensure(onHost, [], opts)).toMatchObject({ ip: '192.0.2.7' })
})

test('an image that somebody pruned is made again', async () => {
  const { engine, newSandboxes } = setUp()
  const sandboxes = newSandboxes()
  await sandboxes.ensure(pod('a'), [], opts).catch(() => undefined)
  let isPruned = true
  const create = engine.create.bind(engine)
  engine.create = async (spec, options) => {
    if (!isPruned) return await create(spec, options)
    isPruned = false
    return await create({ ...spec, image: 'skiff/missing:1' }, options)
  }
  await sandboxes.ensure(pod('b'), [], opts).catch(() => undefined)
  expect(await addressesOf(engine)).toHaveLength(2)
})
