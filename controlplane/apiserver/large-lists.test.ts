import { connect, type IncomingHttpHeaders } from 'node:http2'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import type { ApiList } from '../../api/meta/object-meta.ts'
import { ask } from '../testing/ask.ts'
import { createServedWorld, type ServedWorld } from '../testing/served-world.ts'

const configMaps = '/api/v1/namespaces/default/configmaps'

async function fill(served: ServedWorld, count: number, data: Readonly<Record<string, string>>): Promise<void> {
  const client = served.client()
  const { signal } = served.world
  const names = Array.from({ length: count }, (_, i) => `m-${String(i).padStart(4, '0')}`)
  const object = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data })
  for (const name of names) await client.create(ConfigMap, object(name) as ConfigMap, { signal })
}

test('a list that goes out in many pieces is the list', async () => {
  await using served = await createServedWorld()
  await fill(served, 120, { text: '✓"'.repeat(1_000) })
  const answer = await ask(served, configMaps)
  const { items } = JSON.parse(answer.text) as ApiList<ConfigMap>
  expect(Number(answer.headers['content-length'])).toBe(Buffer.byteLength(answer.text))
  expect(items.length).toBeGreaterThanOrEqual(120)
  expect(items).toEqual(served.world.cache.list(ConfigMap, 'default'))
  const none = await ask(served, '/api/v1/namespaces/nowhere/configmaps')
  expect(JSON.parse(none.text)).toMatchObject({ kind: 'ConfigMapList', items: [] })
})

test('who does not take a list that was asked for loses its place when the time of a request is over', async () => {
  await using served = await createServedWorld({ limits: { inFlight: 1, requestMs: 3_000 } })
  await fill(served, 60, { text: 'x'.repeat(50_000) })
  const session = connect(served.url, { ca: served.ca, ...served.admin })
  const stream = session.request({ ':path': configMaps })
  stream.on('error', () => undefined)
  const head = await new Promise<IncomingHttpHeaders>((resolve) => stream.on('response', resolve))
  // Nobody reads: what fits into the window of HTTP/2 is all that comes, and the one place is taken.
  expect(head).toMatchObject({ ':status': 200 })
  expect((await ask(served, `${configMaps}/m-0000`)).code).toBe(429)
  await eventually(async () => (await ask(served, `${configMaps}/m-0000`)).code === 200)
  let size = 0
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length
  })
  await new Promise<void>((resolve) => stream.on('close', resolve))
  expect(size).toBeLessThan(Number(head['content-length']))
  session.destroy()
})

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + 25_000; !(await holds()); await wait(100))
    if (performance.now() > endMs) throw new Error('it did not come to hold within 25 s')
}
