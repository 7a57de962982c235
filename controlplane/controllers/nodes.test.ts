import { expect, test } from 'vitest'
import { Node } from '../../api/kinds/node.ts'
import type { Pod as PodObject } from '../../api/kinds/pod.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { beat, type ControllersWorld, createControllersWorld, createNode } from './testing/controllers-world.ts'

function podOn(node: string, name: string): PodObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'default', name },
    spec: { nodeName: node, containers: [{ name: 'c', image: 'a' }] },
  } as PodObject
}

const readyOf = (world: ControllersWorld, node: string): string | undefined =>
  world.cache.get(Node, node)?.status?.conditions?.find((one) => one.type === 'Ready')?.status
const taintsOf = (world: ControllersWorld, node: string): readonly string[] =>
  (world.cache.get(Node, node)?.spec?.taints ?? []).map((one) => `${one.key}:${one.effect}`)
const isEvicted = (world: ControllersWorld, name: string): boolean =>
  world.cache.get(Pod, `default/${name}`)?.metadata.deletionTimestamp !== undefined

/** Time passes in steps of five seconds, in which `alive` beat. */
async function live(world: ControllersWorld, ms: number, alive: readonly string[]): Promise<void> {
  for (let passed = 0; passed < ms; passed += 5000) {
    await beat(world, alive)
    await world.pass(5000)
  }
}

async function threeNodes(): Promise<ControllersWorld> {
  const world = await createControllersWorld()
  for (const node of ['n1', 'n2', 'n3']) {
    await createNode(world, node)
    await world.client.create(Pod, podOn(node, `p-${node}`), { signal: world.signal })
  }
  await world.playAgents(['n1'])
  await live(world, 20_000, ['n1', 'n2', 'n3'])
  return world
}

test('a silent node is marked after the grace period, tainted, and its pods leave after their toleration', async () => {
  await using world = await threeNodes()
  await live(world, 35_000, ['n1', 'n2'])
  expect(readyOf(world, 'n3')).toBe('True')
  await live(world, 20_000, ['n1', 'n2'])
  expect(readyOf(world, 'n3')).toBe('Unknown')
  expect(taintsOf(world, 'n3')).toEqual(['node.kubernetes.io/unreachable:NoSchedule', 'node.kubernetes.io/unreachable:NoExecute'])
  const conditions = world.cache.get(Pod, 'default/p-n3')?.status?.conditions
  expect(conditions?.find((one) => one.type === 'Ready')?.status).toBe('False')
  await live(world, 280_000, ['n1', 'n2'])
  expect(isEvicted(world, 'p-n3')).toBe(false)
  await live(world, 30_000, ['n1', 'n2'])
  expect(isEvicted(world, 'p-n3')).toBe(true)
  expect(isEvicted(world, 'p-n1')).toBe(false)
}, 60_000)

test('a node that comes back loses its taints', async () => {
  await using world = await threeNodes()
  await live(world, 60_000, ['n1', 'n2'])
  expect(taintsOf(world, 'n3')).toHaveLength(2)
  const node = await world.client.get(Node, { name: 'n3' }, { signal: world.signal })
  const conditions = [{ type: 'Ready', status: 'True' as const }]
  await world.client.updateStatus(Node, { ...node, status: { ...node.status, conditions } }, { signal: world.signal })
  await live(world, 10_000, ['n1', 'n2', 'n3'])
  expect(taintsOf(world, 'n3')).toEqual([])
}, 60_000)

test('all nodes silent at once evicts nobody, and all get a fresh grace period afterwards', async () => {
  await using world = await threeNodes()
  await live(world, 600_000, [])
  for (const node of ['n1', 'n2', 'n3']) {
    expect(isEvicted(world, `p-${node}`)).toBe(false)
    expect(taintsOf(world, node)).not.toContain('node.kubernetes.io/unreachable:NoExecute')
  }
  await live(world, 35_000, ['n1'])
  expect(isEvicted(world, 'p-n2')).toBe(false)
}, 60_000)

test('an outage of the control plane is held against nobody', async () => {
  await using world = await threeNodes()
  await live(world, 60_000, ['n1', 'n2'])
  expect(taintsOf(world, 'n3')).toHaveLength(2)
  // Nobody looks for ten minutes: one big step, in which no timer of ours gets its turn in between.
  world.clock.step(600_000)
  await live(world, 35_000, [])
  expect(readyOf(world, 'n1')).toBe('True')
  expect(isEvicted(world, 'p-n3')).toBe(false)
}, 60_000)

test.each([
  ['in which a look failed', true],
  ['in which a look waited for its answer', false],
])(
  'a short outage of the store, %s, is held against nobody',
  async (_how, isRefused) => {
    await using world = await threeNodes()
    await live(world, 30_000, ['n1'])
    if (isRefused) {
      // The last sign of n2 is 30 s old, and the next could not be written.
      world.away.is = true
      await live(world, 5_000, ['n1'])
      world.away.is = false
    } else world.clock.step(11_000)
    await live(world, 30_000, ['n1'])
    expect(readyOf(world, 'n2')).toBe('True')
    await live(world, 30_000, ['n1'])
    expect(readyOf(world, 'n2')).toBe('Unknown')
  },
  60_000,
)

test('pods of a node that was deleted go without waiting for its agent', async () => {
  await using world = await threeNodes()
  await world.client.delete(Node, { name: 'n3' }, { signal: world.signal })
  await live(world, 30_000, ['n1', 'n2'])
  expect(world.cache.get(Pod, 'default/p-n3')).toBeDefined()
  await live(world, 60_000, ['n1', 'n2'])
  expect(world.cache.get(Pod, 'default/p-n3')).toBeUndefined()
  expect(world.cache.get(Pod, 'default/p-n1')).toBeDefined()
}, 60_000)

test('a NoExecute taint by hand evicts what does not tolerate it at once', async () => {
  await using world = await threeNodes()
  const body = { spec: { taints: [{ key: 'maintenance', effect: 'NoExecute' }] } }
  await world.client.patch(Node, { name: 'n2' }, { type: 'merge', body }, { signal: world.signal })
  await world.eventually(() => expect(isEvicted(world, 'p-n2')).toBe(true))
  expect(isEvicted(world, 'p-n1')).toBe(false)
}, 60_000)
