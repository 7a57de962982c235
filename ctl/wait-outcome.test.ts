import process from 'node:process'
import { expect, test } from 'vitest'
import { Pod } from '../api/kinds/pod.ts'
import { unavailable } from '../api/meta/status.ts'
import { pod } from '../api/testing/builders.ts'
import type { Client } from '../client/client.ts'
import { aborted } from '../lib/async.ts'
import { FakeClock } from '../lib/clock.ts'
import type { Context } from './command.ts'
import { waitForOutcome } from './wait-outcome.ts'

const stuck = pod({
  status: {
    phase: 'Pending',
    containerStatuses: [
      {
        name: 'web',
        image: 'web:1',
        imageID: '',
        ready: false,
        restartCount: 0,
        state: { waiting: { reason: 'CreateContainerConfigError', message: 'configmap "absent" not found' } },
      },
    ],
  },
})

/** A server on which nothing happens; `listMs` is what its first answer takes. */
function world(listMs = 0) {
  const clock = new FakeClock()
  const stop = new AbortController()
  const said: string[] = []
  const client = {
    async list() {
      await settle()
      clock.step(listMs)
      return { apiVersion: 'v1', kind: 'PodList', metadata: { resourceVersion: '1' }, items: [stuck] }
    },
    async *watch(_kind: unknown, { signal }: { readonly signal: AbortSignal }) {
      await aborted(signal)
      yield* []
    },
  }
  const no = (): never => {
    throw unavailable('there is nothing else')
  }
  const context: Context = {
    out: {
      line: (text = '') => void said.push(text),
      write: no,
      writeError: no,
      flushed: no,
      note: (text) => void said.push(text),
    },
    clock,
    env: {},
    stdin: process.stdin,
    stdout: process.stdout,
    signal: stop.signal,
    connect: () => ({
      // Only what is asked of it here.
      client: client as unknown as Client,
      streams: { log: no, exec: no },
      server: '',
      get: no,
      post: no,
      clientCertificate: undefined,
      namespace: 'default',
      isNamespaceGiven: false,
    }),
  }
  return { clock, said, context }
}

const options = { kind: Pod, namespace: 'default', name: 'web' }
const settle = () => new Promise((resolve) => setImmediate(resolve))

test('what has no time left is still looked at once, and says why it is not ready', async () => {
  const { said, context } = world(1_000)
  expect(await waitForOutcome({ ...options, timeoutMs: 1 }, context)).toBe(false)
  expect(said.join('\n')).toMatch(/configmap "absent" not found[\s\S]*error: timed out waiting for pod "web"/)
})

test('waiting ends with its time, or earlier when nothing moves', async () => {
  for (const [given, end] of [
    [{ timeoutMs: 60_000 }, /timed out waiting/],
    [{ timeoutMs: 600_000, stallMs: 30_000 }, /no progress for 30 s waiting/],
  ] as const) {
    const { said, context, clock } = world()
    const waiting = waitForOutcome({ ...options, ...given }, context)
    await settle()
    expect(said.join('\n')).not.toMatch(end)
    for (let s = 0; s < 61; s++) {
      clock.step(1_000)
      await settle()
    }
    expect(await waiting).toBe(false)
    expect(said.join('\n')).toMatch(end)
  }
})
