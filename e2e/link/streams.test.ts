import { expect, test } from 'vitest'
import type { StreamSources } from '../../agent/session/pod-stream.ts'
import { badRequest, StatusError } from '../../api/meta/status.ts'
import type { ContainerRef, ExecInput, ExecOutput } from '../../api/meta/streams.ts'
import { createBed, eventually } from './testbed.ts'

const ref: ContainerRef = { namespace: 'default', pod: 'p', uid: 'uid-1', node: 'a', container: 'c' }
const logOptions = { follow: true, previous: false, timestamps: false }
const execOptions = { command: ['cat'], stdin: true, stdout: true, stderr: true, tty: false }
const opts = () => ({ signal: AbortSignal.timeout(10_000) })
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

function sources(over: Partial<StreamSources['runtime']> & Pick<Partial<StreamSources>, 'containerId'> = {}): StreamSources {
  const { containerId = async () => 'id-1', ...runtime } = over
  return {
    containerId,
    runtime: {
      async *logs() {
        yield { stream: 'stdout', data: Buffer.from('one\n') }
        yield { stream: 'stderr', data: Buffer.from('two\n') }
      },
      async *exec(_id, _options, input): AsyncGenerator<ExecOutput> {
        for await (const one of input) {
          if (one.type === 'stdin') yield { type: 'stdout', data: one.data }
          if (one.type === 'stdinEnd') break
        }
        yield { type: 'stderr', data: Buffer.from('bye') }
        yield { type: 'exit', code: 3 }
      },
      ...runtime,
    },
  }
}

async function connected(bed: Awaited<ReturnType<typeof createBed>>, streams: StreamSources): Promise<void> {
  const { session } = await bed.agent('a', { streams })
  await eventually(() => expect(session.isConnected).toBe(true))
}

test('a log comes through the agent’s own connection', async () => {
  await using bed = await createBed()
  await connected(bed, sources())
  let log = ''
  for await (const chunk of bed.gateway.log(ref, { ...logOptions, tailLines: 5 }, opts())) log += text(chunk)
  expect(log).toBe('one\ntwo\n')
})

test('an exec carries input, both outputs and the exit code', async () => {
  await using bed = await createBed()
  await connected(bed, sources())
  async function* input(): AsyncGenerator<ExecInput> {
    yield { type: 'resize', width: 80, height: 24 }
    yield { type: 'stdin', data: Buffer.from('hello') }
    yield { type: 'stdinEnd' }
  }
  const seen: string[] = []
  for await (const output of bed.gateway.exec(ref, execOptions, input(), opts()))
    seen.push(output.type === 'exit' ? `exit ${output.code}` : `${output.type} ${text(output.data)}`)
  expect(seen).toEqual(['stdout hello', 'stderr bye', 'exit 3'])
})

test('a reader who does not read holds the source; one who leaves ends it', async () => {
  await using bed = await createBed()
  let made = 0
  let isEnded = false
  const chunk = Buffer.alloc(64 * 1024)
  await connected(
    bed,
    sources({
      async *logs(_id, _options, { signal }) {
        try {
          for (;;) {
            signal.throwIfAborted()
            made++
            yield { stream: 'stdout' as const, data: chunk }
            await new Promise((resolve) => setImmediate(resolve))
          }
        } finally {
          isEnded = true
        }
      },
    }),
  )
  for await (const first of bed.gateway.log(ref, logOptions, opts())) {
    expect(first).toHaveLength(chunk.length)
    let before = -1
    await eventually(async () => {
      const now = made
      const hasMoved = now !== before
      before = now
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(hasMoved || made !== now).toBe(false)
    })
    expect(made).toBeLessThan(300)
    expect(isEnded).toBe(false)
    break
  }
  await eventually(() => expect(isEnded).toBe(true))
})

test('what goes wrong on the node is told in its own words', async () => {
  await using bed = await createBed()
  await connected(
    bed,
    sources({
      containerId: async () => {
        throw badRequest('container "c" in pod "p" is waiting to start: ContainerCreating')
      },
    }),
  )
  const failure = await bed.gateway
    .log(ref, logOptions, opts())
    [Symbol.asyncIterator]()
    .next()
    .catch((err: unknown) => err)
  expect(failure).toBeInstanceOf(StatusError)
  expect(failure).toMatchObject({ status: { code: 400, message: expect.stringContaining('waiting to start') } })
})

test('a node that is away is named', async () => {
  await using bed = await createBed()
  const failure = await bed.gateway
    .log(ref, logOptions, opts())
    [Symbol.asyncIterator]()
    .next()
    .catch((err: unknown) => err)
  expect(failure).toMatchObject({ status: { code: 503, message: expect.stringContaining('node "a"') } })
})

test('aborting ends the stream on both sides', async () => {
  await using bed = await createBed()
  let isEnded = false
  await connected(
    bed,
    sources({
      async *exec(_id, _options, _input, { signal }) {
        try {
          yield { type: 'stdout', data: Buffer.from('up') }
          await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
        } finally {
          isEnded = true
        }
      },
    }),
  )
  const stop = new AbortController()
  async function* silence(): AsyncGenerator<ExecInput> {
    await new Promise((_resolve, reject) => stop.signal.addEventListener('abort', reject))
    yield { type: 'stdinEnd' }
  }
  const outputs = bed.gateway.exec(ref, execOptions, silence(), { signal: stop.signal })[Symbol.asyncIterator]()
  expect(await outputs.next()).toMatchObject({ value: { type: 'stdout' } })
  stop.abort(new Error('enough'))
  await expect(outputs.next()).rejects.toThrow('enough')
  await eventually(() => expect(isEnded).toBe(true))
})
