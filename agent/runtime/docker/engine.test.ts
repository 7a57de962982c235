import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FakeClock } from '../../../lib/clock.ts'
import { Engine } from './engine.ts'

test('an answer that is broken off fails its call at once, not at the deadline', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'skiff-engine-'))
  const socketPath = join(folder, 'docker.sock')
  const server = createServer((request, answer) => {
    answer.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 })
    answer.write('{"Id":', () => request.socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  try {
    // The clock stands still: no deadline ever comes.
    const engine = new Engine({ socketPath, clock: new FakeClock() })
    const call = { what: 'x', ms: 1000, signal: new AbortController().signal }
    const create = engine.raw(call, (docker, abortSignal) => docker.createContainer({ name: 'x', abortSignal }))
    await expect(create).rejects.toThrow('broke off')
    await expect(engine.get(call, '/info')).rejects.toThrow('broke off')
  } finally {
    server.close()
    rmSync(folder, { recursive: true })
  }
})
