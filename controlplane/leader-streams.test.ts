import { afterEach, beforeEach, expect, test } from 'vitest'
import { isUnavailable, unavailable } from '../api/meta/status.ts'
import type { ContainerRef, ExecInput, PodStreams } from '../api/meta/streams.ts'
import { systemClock } from '../lib/clock.ts'
import { leaderStreams, parseRecord } from './leader-streams.ts'
import { MemoryStore } from './store/memory.ts'
import { freePort } from './testing/etcd.ts'
import { createServedWorld, noStreams, type ServedWorld } from './testing/served-world.ts'

const { signal } = new AbortController()
const key = '/skiff/elections/controlplane'
const ref: ContainerRef = { namespace: 'default', pod: 'web', uid: '', node: 'node-1', container: 'main' }
const logOptions = { follow: true, previous: false, timestamps: false }
const execOptions = { command: ['sh'], stdin: true, stdout: true, stderr: true, tty: false }
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** What reaches a node, at the leader. */
const atNode: PodStreams = {
  async *log({ node, container }) {
    yield bytes(`${node} ${container} `)
    yield bytes('says')
  },
  async *exec(_ref, { command }, input) {
    for await (const one of input) {
      if (one.type === 'stdinEnd') break
      if (one.type === 'stdin') yield { type: 'stdout', data: one.data }
    }
    yield { type: 'exit', code: command.length + 6 }
  },
}
const notLeading: PodStreams = {
  // biome-ignore lint/correctness/useYield: it fails before it has anything to say.
  async *log() {
    throw unavailable('this control plane does not lead')
  },
  // biome-ignore lint/correctness/useYield: as above.
  async *exec() {
    throw unavailable('this control plane does not lead')
  },
}

let store: MemoryStore
let open: ServedWorld[]
beforeEach(() => {
  store = new MemoryStore()
  open = []
})
afterEach(async () => {
  for (const one of open) await one[Symbol.asyncDispose]()
})

async function served(streams: PodStreams, ownStreams?: PodStreams): Promise<ServedWorld> {
  const made = await createServedWorld({ streams, ...(ownStreams === undefined ? {} : { ownStreams }) })
  open.push(made)
  const spec = { nodeName: 'node-1', containers: [{ name: 'main', image: 'x:1' }] }
  const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'default' }, spec }
  const pods = made.world.registry.kinds.find(({ kind }) => kind === 'Pod')
  if (pods === undefined) throw new Error('there are pods')
  const admin = { user: 'admin', groups: ['system:masters'] }
  await made.world.registry.request(admin, { verb: 'create', kind: pods, namespace: 'default', body }, { signal })
  return made
}

async function elect(servers: readonly string[]): Promise<void> {
  await store.campaign({ key, value: JSON.stringify({ identity: 'other', servers }), ttlMs: 4_000, signal })
}

const asking = ({ pki, ca }: ServedWorld, leads = false): PodStreams =>
  leaderStreams({
    own: leads ? atNode : noStreams,
    leads: () => leads,
    store,
    key,
    tls: () => ({ ca, cert: pki.controlPlane.cert, key: pki.controlPlane.key }),
    clock: systemClock,
  })

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all).toString()
}
async function* input(): AsyncGenerator<ExecInput> {
  yield { type: 'stdin', data: bytes('hello') }
  yield { type: 'stdinEnd' }
}
const failure = async (streams: PodStreams): Promise<Error> =>
  await textOf(streams.log(ref, logOptions, { signal })).then(
    (text) => new Error(`no failure but "${text}"`),
    (err: Error) => err,
  )

test('logs and exec are fetched from the leader, wherever of its addresses it answers', async () => {
  const leader = await served(notLeading, atNode)
  await elect([`https://127.0.0.1:${await freePort()}`, leader.url])
  const streams = asking(leader)
  expect(await textOf(streams.log(ref, logOptions, { signal }))).toBe('node-1 main says')
  const said: unknown[] = []
  for await (const one of streams.exec(ref, execOptions, input(), { signal }))
    said.push(one.type === 'exit' ? one.code : Buffer.from(one.data).toString())
  expect(said).toEqual(['hello', 7])
})

test('a leader asks nobody', async () => {
  const world = await served(noStreams)
  expect(await textOf(asking(world, true).log(ref, logOptions, { signal }))).toBe('node-1 main says')
})

test('without a leader, and with one that is not reached, it is said so within the time', async () => {
  const world = await served(noStreams)
  const none = await failure(asking(world))
  expect([isUnavailable(none), none.message]).toEqual([true, expect.stringContaining('no control plane leads')])
  const nobody = `https://127.0.0.1:${await freePort()}`
  await elect([nobody])
  const away = await failure(asking(world))
  expect([isUnavailable(away), away.message]).toEqual([true, expect.stringContaining(`"other", is not reached at ${nobody}`)])
})

test('a server of another authority is not taken for the leader', async () => {
  const [world, foreign] = [await served(noStreams), await served(noStreams, atNode)]
  await elect([foreign.url])
  expect((await failure(asking(world))).message).toContain('is not reached')
})

test('what was passed on once is not passed on again, so that two who both wait for a leader do not ask each other', async () => {
  const leader = await served(atNode, notLeading)
  await elect([leader.url])
  const refused = await failure(asking(leader))
  expect([isUnavailable(refused), refused.message]).toEqual([true, 'this control plane does not lead'])
})

test('the record of another version is no reason to fail, and names no server', () => {
  expect(parseRecord(bytes('some-host'))).toEqual({ identity: 'some-host', servers: [] })
  expect(parseRecord(bytes('{"identity":"a","servers":["https://[::1]:6443","http://x:1","https://x/y",7]}'))).toEqual({
    identity: 'a',
    servers: ['https://[::1]:6443'],
  })
})
