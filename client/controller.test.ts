import { expect, test } from 'vitest'
import { ConfigMap } from '../api/kinds/config-map.ts'
import type { ApiRequest, Transport, WatchBatch } from '../api/meta/request.ts'
import { conflict, internalError } from '../api/meta/status.ts'
import { FakeClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { createMetrics } from '../lib/metrics.ts'
import { BoundedQueue } from '../lib/queue.ts'
import { seededRandom } from '../lib/random.ts'
import { type ControllerDef, controllerServices, defineController, type ReconcileContext } from './controller.ts'
import { createInformers } from './informers.ts'
import { createClient } from './typed-client.ts'

const made = (name: string, revision: number): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'x', name, uid: name, resourceVersion: String(revision) },
})

/** A server that stores nothing: each write gets the next revision, and the watch says what the test pushes. */
function harness(reconcile: (key: string, context: ReconcileContext) => ReturnType<ControllerDef['reconcile']>) {
  const clock = new FakeClock()
  const watch = new BoundedQueue<WatchBatch>(100)
  let revision = 10
  const transport: Transport = {
    async request({ verb, body }: ApiRequest) {
      const warnings: readonly string[] = []
      if (verb === 'list') {
        const metadata = { resourceVersion: String(revision) }
        const items = [made('a', 3)]
        return { code: 200, warnings, body: { apiVersion: 'v1', kind: 'ConfigMapList', metadata, items } }
      }
      if (verb === 'delete') {
        revision++
        return { code: 200, warnings, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 200 } }
      }
      const object = body as ConfigMap
      const metadata = { ...object.metadata, resourceVersion: String(++revision) }
      return { code: 200, warnings, body: { ...object, metadata } }
    },
    watch: (_request, { signal }) => watch.read({ signal }),
  }
  const client = createClient(transport)
  const random = seededRandom(1)
  const informers = createInformers({ client, clock, random, log: silentLog })
  const def = defineController({ name: 'test', for: ConfigMap, writes: ['configmaps'], workers: 2, reconcile })
  const metrics = createMetrics('t_')
  const services = controllerServices([def], { client, informers, clock, random, log: silentLog, metrics })
  const stop = new AbortController()
  const running = [...informers.services, ...services].map((one) => one.run(stop.signal))
  return {
    watch,
    metrics,
    async breathe(ms = 0) {
      clock.step(ms)
      for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve))
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await Promise.all(running)
    },
  }
}

test('a key is not looked at again before its own writes can be seen', async () => {
  let looks = 0
  await using world = harness(async (_key, { client, signal }) => {
    looks++
    if (looks === 1) await client.create(ConfigMap, made('b', 0), { signal })
    return undefined
  })
  await world.breathe()
  expect(looks).toBe(1)
  // Something older than the write (revision 11) wakes the key.
  world.watch.push({ events: [{ type: 'MODIFIED', object: made('a', 10) }], revision: 10 })
  await world.breathe()
  expect(looks).toBe(1)
  world.watch.push({ events: [], revision: 11 })
  await world.breathe()
  expect(looks).toBe(2)
})

test('a deletion whose answer names no revision holds the key back too', async () => {
  let looks = 0
  await using world = harness(async (_key, { client, signal }) => {
    looks++
    if (looks === 1) await client.delete(ConfigMap, { namespace: 'x', name: 'b' }, { signal })
    return undefined
  })
  await world.breathe()
  world.watch.push({ events: [{ type: 'MODIFIED', object: made('a', 10) }], revision: 10 })
  await world.breathe()
  expect(looks).toBe(1)
  world.watch.push({ events: [], revision: 12 })
  await world.breathe()
  expect(looks).toBe(2)
})

test('when the informers stay behind, the key is put off instead of being worked on blindly', async () => {
  let looks = 0
  await using world = harness(async (_key, { client, signal }) => {
    looks++
    await client.create(ConfigMap, made('b', 0), { signal })
    return { afterMs: 0 }
  })
  await world.breathe()
  await world.breathe(10_001)
  await world.breathe(30_000)
  expect(looks).toBe(1)
  expect((await world.metrics.render()).body).toContain('t_controller_reconciles_total{controller="test",outcome="behind"} 1')
})

test('failures are tried again with growing delays; one that throws harms no other key', async () => {
  const looks: string[] = []
  await using world = harness(async (key) => {
    looks.push(key)
    if (key === 'x/a' && looks.filter((one) => one === 'x/a').length <= 3) throw internalError('not now')
    return undefined
  })
  await world.breathe()
  world.watch.push({ events: [{ type: 'ADDED', object: made('b', 11) }], revision: 11 })
  await world.breathe()
  expect(looks).toEqual(['x/a', 'x/b'])
  for (let i = 0; i < 10; i++) await world.breathe(50)
  expect(looks.filter((one) => one === 'x/a')).toHaveLength(4)
  expect((await world.metrics.render()).body).toContain('outcome="error"} 3')
})

test('being overtaken is no error', async () => {
  let looks = 0
  await using world = harness(async () => {
    if (looks++ === 0) throw conflict(ConfigMap, 'a', 'changed')
    return undefined
  })
  await world.breathe()
  await world.breathe(100)
  expect(looks).toBe(2)
  expect((await world.metrics.render()).body).toContain('outcome="error"} 0')
})

test('two writers of one status are refused at the start', () => {
  const one: ControllerDef = {
    name: 'a',
    sources: [],
    reads: [],
    writes: ['pods/status'],
    workers: 1,
    reconcile: async () => undefined,
  }
  const deps = {} as Parameters<typeof controllerServices>[1]
  expect(() => controllerServices([one, { ...one, name: 'b' }], deps)).toThrow('"a" and "b" both write pods/status')
})
