import { expect, test } from 'vitest'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import { type ApiRequest, adminIdentity } from '../../api/meta/request.ts'
import { Slots } from '../../lib/slots.ts'
import { createWorld, type World } from '../testing/world.ts'
import { inProcess } from './in-process.ts'
import type { Fence, Registry } from './options.ts'

const create = (name: string): ApiRequest => ({
  verb: 'create',
  kind: ConfigMap,
  namespace: 'default',
  body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } },
})

/** The world's, with its requests passed through `request`. */
const through = ({ registry }: World, request: Registry['request']): Registry => ({
  request,
  watch: (...args) => registry.watch(...args),
  kinds: registry.kinds,
  decide: (...args) => registry.decide(...args),
})

test('all who are given the same slots write so many at a time, and reads do not wait', async () => {
  await using world = await createWorld()
  const { signal } = world
  let active = 0
  let most = 0
  const registry = through(world, async (...args) => {
    active++
    most = Math.max(most, active)
    try {
      return await world.registry.request(...args)
    } finally {
      active--
    }
  })
  const writes = new Slots(2)
  const [one, other] = [1, 2].map(() => inProcess(registry, adminIdentity, { writes }))
  await Promise.all(
    ['a', 'b', 'c'].flatMap((name) => [
      one?.request(create(name), { signal }),
      other?.request(create(`other-${name}`), { signal }),
    ]),
  )
  expect(most).toBe(2)
  const held = Promise.withResolvers<void>()
  const both = [1, 2].map(() => writes.run({ signal }, () => held.promise))
  const list = await one?.request({ verb: 'list', kind: ConfigMap, namespace: 'default' }, { signal })
  expect(list?.body).toMatchObject({ items: { length: 6 } })
  held.resolve()
  await Promise.all(both)
})

test('a write is made as the leader of when it was asked for, not of when its turn came', async () => {
  await using world = await createWorld()
  const { signal } = world
  const seen: (Fence | undefined)[] = []
  const registry = through(world, async (identity, request, { fence, ...opts }) => {
    seen.push(fence)
    return await world.registry.request(identity, request, opts)
  })
  const writes = new Slots(1)
  const now: { fence: Fence } = { fence: { key: 'leader', createRevision: 1 } }
  const transport = inProcess(registry, adminIdentity, { fence: () => now.fence, writes })
  const held = Promise.withResolvers<void>()
  const before = writes.run({ signal }, () => held.promise)
  const write = transport.request(create('one'), { signal })
  now.fence = { key: 'leader', createRevision: 2 }
  held.resolve()
  await Promise.all([before, write])
  expect(seen).toEqual([{ key: 'leader', createRevision: 1 }])
})
