import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FakeClock } from '../../../lib/clock.ts'
import { Engine } from './engine.ts'
import { startError } from './errors.ts'

async function withServer(answer: RequestListener, use: (engine: Engine) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'skiff-engine-'))
  const socketPath = join(folder, 'docker.sock')
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  try {
    // The clock stands still: no deadline ever comes.
    await use(new Engine({ socketPath, clock: new FakeClock() }))
  } finally {
    server.close()
    rmSync(folder, { recursive: true })
  }
}

const call = { what: 'x', ms: 1000, signal: new AbortController().signal }

test('an answer that is broken off fails its call at once, not at the deadline', async () => {
  const half: RequestListener = (request, answer) => {
    answer.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 })
    answer.write('{"Id":', () => request.socket.destroy())
  }
  await withServer(half, async (engine) => {
    const create = engine.raw(call, (docker, abortSignal) => docker.createContainer({ name: 'x', abortSignal }))
    await expect(create).rejects.toThrow('broke off')
    await expect(engine.get(call, '/info')).rejects.toThrow('broke off')
  })
})

test('an engine that points elsewhere is not followed: its answer is a bad one', async () => {
  // Nobody listens there; the library would end the process with an error that nobody catches.
  const elsewhere: RequestListener = (_, answer) => answer.writeHead(302, { location: 'http://127.0.0.1:1/info' }).end()
  await withServer(elsewhere, async (engine) => {
    const create = engine.call(call, (docker, abortSignal) => docker.createContainer({ name: 'x', abortSignal }))
    await expect(create).rejects.toMatchObject({ code: 'Unavailable', message: expect.stringContaining('302') })
    await expect(engine.get(call, '/info')).rejects.toThrow('302')
    const start = engine.raw(call, (docker, abortSignal) => docker.getContainer('x').start({ abortSignal }))
    // Not for good, as a refusal would be.
    expect(startError(await start.catch((err: unknown) => err))).toMatchObject({ code: 'Unavailable' })
  })
})
