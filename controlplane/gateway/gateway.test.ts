import { expect, test } from 'vitest'
import { Lease } from '../../api/kinds/lease.ts'
import { Service } from '../../api/kinds/service.ts'
import { nodeIdentity } from '../../api/meta/request.ts'
import { unavailable } from '../../api/meta/status.ts'
import { type AgentMessage, type Assignments, type ControlMessage, Hello } from '../../api/proto/agent.ts'
import { createInformers } from '../../client/informers.ts'
import { Bell } from '../../lib/async.ts'
import { parseTime } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { seededRandom } from '../../lib/random.ts'
import { createWorld, type World } from '../testing/world.ts'
import { createGateway, type Gateway } from './gateway.ts'
import type { LineHandlers } from './line.ts'

interface Bed {
  /** Nodes whose objects are being made, and what that waits for. */
  readonly making: { nodes: string[]; until: Promise<void> | undefined }
  /** While it is, nodes' leases cannot be written. */
  readonly away: { is: boolean }
  /** What the control plane says of its store. */
  readonly life: { incarnation: string }
  readonly gateway: Gateway
  readonly handlers: () => LineHandlers
  pass(ms: number): Promise<void>
}

async function createBed(world: World): Promise<Bed> {
  const { clock, signal } = world
  const deps = { clock, random: seededRandom(1), log: silentLog }
  const informers = createInformers({ ...deps, client: world.client })
  let handlers: LineHandlers | undefined
  const away = { is: false }
  const making: Bed['making'] = { nodes: [], until: undefined }
  const life = { incarnation: '' }
  const listen = async (given: LineHandlers) => {
    handlers = given
    return { port: undefined, close: () => undefined }
  }
  const gateway = createGateway(listen, {
    ...deps,
    informers,
    client: world.client,
    clientFor: (node) => {
      const client = world.as(nodeIdentity(node))
      return {
        ...client,
        create: async (kind, object, opts) => {
          if (kind.kind === 'Node') making.nodes.push(node)
          await making.until
          return await client.create(kind, object, opts)
        },
        update: async (kind, object, opts) => {
          if (away.is) throw unavailable('the store is away')
          return await client.update(kind, object, opts)
        },
      }
    },
    events: { record: () => undefined },
    clusterUid: 'cluster',
    epoch: () => 1,
    incarnation: () => life.incarnation,
    clusterCidr: '10.42.0.0/16',
    serviceCidr: '10.43.0.0/16',
    metrics: createMetrics('skiff_'),
  })
  for (const service of informers.services) service.run(signal).catch(() => undefined)
  return {
    making,
    away,
    life,
    gateway,
    handlers: () => handlers ?? expect.fail('nobody listens'),
    async pass(ms) {
      for (let left = ms; left > 0; left -= 50) {
        for (let count = 0; count < 5; count++) await new Promise((resolve) => setImmediate(resolve))
        clock.step(50)
      }
    },
  }
}

/** A session of a node, which says what is pushed to it. */
function connected(
  { handlers }: Bed,
  node: string,
  told: (message: ControlMessage['message']) => void = () => undefined,
  {
    resultsIn = '',
    podCidr = '',
    onGone = () => undefined,
  }: { resultsIn?: string; podCidr?: string; onGone?: (run: () => void) => void } = {},
) {
  const nodeJson = JSON.stringify({ metadata: { name: node }, status: {} })
  const messages: AgentMessage[] = [{ message: { $case: 'hello', value: Hello.create({ node, nodeJson, resultsIn, podCidr }) } }]
  const more = new Bell()
  handlers()
    .session({
      node,
      messages: {
        next: async () => {
          while (messages.length === 0) await more.wait({ signal: new AbortController().signal })
          const value = messages.shift()
          return value === undefined ? { done: true, value } : { done: false, value }
        },
      },
      send: async ({ message }: ControlMessage) => told(message),
      onGone,
    })
    .catch(() => undefined)
  return (message: AgentMessage['message']): void => {
    messages.push({ message })
    more.ring()
  }
}

/** What a node is told of services, in the order in which it is told. */
function welcomed(bed: Bed, node: string): readonly string[][] {
  const tables: string[][] = []
  connected(bed, node, (message) => {
    if (message?.$case === 'services') tables.push(message.value.services.map(({ key }) => key))
  })
  return tables
}

const service = (name: string): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { selector: { app: name }, ports: [{ port: 80 }] },
})

test('a control plane that leads again tells nodes of the services of then, also when it stopped while one was changing', async () => {
  await using world = await createWorld()
  const { signal } = world
  const bed = await createBed(world)
  const first = new AbortController()
  const ended = bed.gateway.run(first.signal)
  await bed.pass(500)
  const before = welcomed(bed, 'node-1')
  await world.client.create(Service, service('one'), { signal })
  await bed.pass(2000)
  expect(before.at(-1)).toEqual(['default/one'])
  // The change is seen, and the table not made yet.
  await world.client.create(Service, service('two'), { signal })
  for (let count = 0; count < 20; count++) await new Promise((resolve) => setImmediate(resolve))
  first.abort(new Error('the lease ran out'))
  await ended
  await world.client.create(Service, service('three'), { signal })
  bed.gateway.run(signal).catch(() => undefined)
  await bed.pass(500)
  const after = welcomed(bed, 'node-1')
  await bed.pass(2000)
  expect(after.at(-1)).toEqual(['default/one', 'default/three', 'default/two'])
  await world.client.create(Service, service('four'), { signal })
  await bed.pass(2000)
  expect(after.at(-1)).toEqual(['default/four', 'default/one', 'default/three', 'default/two'])
})

test('a node that comes back after the store was put back gets a complete set at once, although it knew the last one', async () => {
  await using world = await createWorld()
  const bed = await createBed(world)
  bed.gateway.run(world.signal).catch(() => undefined)
  await bed.pass(500)
  const sets: Assignments[] = []
  const come = async (resultsIn: string): Promise<Assignments | undefined> => {
    sets.length = 0
    const say = connected(
      bed,
      'node-1',
      (message) => {
        if (message?.$case === 'assignments') sets.push(message.value)
      },
      { resultsIn },
    )
    await bed.pass(1000)
    const set = sets.at(-1)
    say({ $case: 'applied', value: { resultsIn: set?.resultsIn ?? '' } })
    await bed.pass(500)
    return set
  }
  const first = await come('')
  expect(first?.complete).toBe(true)
  // The same store: there is nothing new to be said.
  expect(await come(first?.resultsIn ?? '')).toBeUndefined()
  bed.life.incarnation = '1-other'
  const second = await come(first?.resultsIn ?? '')
  expect(second?.complete).toBe(true)
  expect(second?.resultsIn).not.toBe(first?.resultsIn)
})

test('a lease that could not be renewed is renewed as soon as the store is back, without waiting for the next heartbeat', async () => {
  await using world = await createWorld()
  const { signal, clock } = world
  const bed = await createBed(world)
  bed.gateway.run(signal).catch(() => undefined)
  await bed.pass(500)
  const say = connected(bed, 'node-1')
  await bed.pass(10_000)
  bed.away.is = true
  say({ $case: 'heartbeat', value: { sequence: 1n } })
  await bed.pass(3_000)
  bed.away.is = false
  const backMs = clock.now()
  await bed.pass(1_500)
  const renewed = world.cache.get(Lease, 'kube-node-lease/node-1')?.spec?.renewTime
  expect(parseTime(renewed)).toBeGreaterThanOrEqual(backMs)
})

test('nodes that come all at once are registered some at a time, and whose line has gone leaves the others its turn', async () => {
  await using world = await createWorld()
  const bed = await createBed(world)
  bed.gateway.run(world.signal).catch(() => undefined)
  await bed.pass(500)
  const store = Promise.withResolvers<void>()
  bed.making.until = store.promise
  const welcomed: string[] = []
  const gone = new Map<string, () => void>()
  const names = Array.from({ length: 40 }, (_, index) => `node-${index}`)
  for (const name of names)
    connected(
      bed,
      name,
      (message) => {
        if (message?.$case === 'welcome') welcomed.push(name)
      },
      { onGone: (run) => gone.set(name, run) },
    )
  await bed.pass(500)
  expect(bed.making.nodes).toEqual(names.slice(0, 16))
  for (const name of names.slice(16, 30)) gone.get(name)?.()
  store.resolve()
  bed.making.until = undefined
  await bed.pass(5000)
  expect(new Set(welcomed)).toEqual(new Set([...names.slice(0, 16), ...names.slice(30)]))
  expect(bed.making.nodes).toHaveLength(26)
})

test('a node whose turn to be registered does not come in time is let go, so that it comes again', async () => {
  await using world = await createWorld()
  const bed = await createBed(world)
  bed.gateway.run(world.signal).catch(() => undefined)
  await bed.pass(500)
  bed.making.until = new Promise(() => undefined)
  for (let index = 0; index < 20; index++) connected(bed, `node-${index}`)
  await bed.pass(9_000)
  expect(bed.gateway.nodes).toHaveLength(20)
  await bed.pass(2_000)
  expect(bed.gateway.nodes).toHaveLength(16)
})

test('a node is welcomed with the range that it says it has, if the store knows none of it', async () => {
  await using world = await createWorld()
  const bed = await createBed(world)
  const ranges: string[] = []
  const hear = (message: ControlMessage['message']): void => {
    if (message?.$case === 'welcome') ranges.push(message.value.podCidr)
  }
  bed.gateway.run(world.signal).catch(() => undefined)
  await bed.pass(500)
  connected(bed, 'forgotten', hear, { podCidr: '10.42.7.0/24' })
  await bed.pass(1000)
  connected(bed, 'new', hear)
  await bed.pass(1000)
  expect(ranges).toEqual(['10.42.7.0/24', '10.42.0.0/24'])
})
