import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2'
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

test('lists of many sizes that are asked for at the same time each come whole', async () => {
  await using served = await createServedWorld()
  const { cache, signal } = served.world
  // Around what is sent at once (64 KiB), the pieces of longer lists (256 KiB), and objects that are larger than a piece.
  const sizes = [10, 64_800, 300, 600_000, 5, 262_000, 261_900, 0, 140, 196_000, 400_000, 64_000]
  for (const [index, size] of sizes.entries()) {
    const metadata = { name: `m-${String(index).padStart(2, '0')}`, namespace: 'kube-node-lease' }
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { text: String(index % 10).repeat(size) } }
    await served.client().create(ConfigMap, object as ConfigMap, { signal })
  }
  const all = cache.list(ConfigMap, 'kube-node-lease')
  const asked = Array.from({ length: 60 }, (_, index) => 1 + (index % all.length))
  const session = connect(served.url, { ca: served.ca, ...served.admin })
  await Promise.all(
    asked.map(async (limit, index) => {
      const path = `/api/v1/namespaces/kube-node-lease/configmaps?limit=${limit}`
      // HTTP/2 looks at the bytes of an answer later than HTTP/1.1 does.
      const text = index % 2 === 0 ? (await ask(served, path)).text : await askHttp2(session, path)
      const { items } = JSON.parse(text) as ApiList<ConfigMap>
      expect(items).toEqual(all.slice(0, limit))
    }),
  )
  session.destroy()
})

async function askHttp2(session: ClientHttp2Session, path: string): Promise<string> {
  const stream = session.request({ ':path': path })
  const chunks: Buffer[] = []
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

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
