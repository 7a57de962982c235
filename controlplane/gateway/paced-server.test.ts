import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { createTurns } from '../../lib/turns.ts'
import { type PacedServer, pacedServer } from './paced-server.ts'

const cleanUp: (() => void)[] = []
afterEach(() => {
  for (const one of cleanUp.splice(0)) one()
})

function dial(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  cleanUp.push(() => socket.destroy())
  return socket
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !isSo(); tries++) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(isSo()).toBe(true)
}

/** A server whose turns come when the test says. */
async function start(): Promise<{
  server: PacedServer
  taken: Socket[]
  turn(): void
  waits(): number
  later(ms: number): void
}> {
  let nowMs = 0
  const taken: Socket[] = []
  const waiting: (() => void)[] = []
  const turns = { pass: () => undefined, next: () => new Promise<void>((resolve) => void waiting.push(resolve)) }
  const take = (socket: Socket): void => {
    taken.push(socket)
    cleanUp.push(() => socket.destroy())
  }
  const server = await pacedServer({ host: '127.0.0.1', port: 0, turns, nowMs: () => nowMs, take })
  cleanUp.push(() => server.close())
  return {
    server,
    taken,
    turn: () => waiting.shift()?.(),
    waits: () => waiting.length,
    later: (ms) => {
      nowMs += ms
    },
  }
}

test('connections are taken one a turn, and lose nothing that came before', async () => {
  const { server, taken, turn, waits } = await start()
  const clients = [dial(server.port), dial(server.port)]
  for (const client of clients) client.write('early')
  await until(() => waits() === 1)
  expect(taken).toHaveLength(0)
  turn()
  await until(() => taken.length === 1 && waits() === 1)
  turn()
  await until(() => taken.length === 2)
  for (const socket of taken) {
    socket.resume()
    const [data] = await once(socket, 'data')
    expect(String(data)).toBe('early')
  }
})

test('one that has waited for too long is closed, and the next is taken', async () => {
  const { server, taken, turn, waits, later } = await start()
  const first = dial(server.port)
  const closed = once(first, 'close')
  await until(() => waits() === 1)
  later(4_001)
  dial(server.port)
  turn()
  await closed
  await until(() => waits() === 1)
  turn()
  await until(() => taken.length === 1)
})

test('closing ends those who wait, and lets nobody in', async () => {
  const { server, turn, waits } = await start()
  const clients = [dial(server.port), dial(server.port), dial(server.port)]
  const closed = Promise.all(clients.map((client) => once(client, 'close')))
  await until(() => waits() === 1)
  await new Promise((resolve) => setTimeout(resolve, 100))
  server.close()
  turn()
  await closed
})

test('a port that is taken is an error', async () => {
  const { server } = await start()
  const options = { host: '127.0.0.1', turns: createTurns(), nowMs: () => 0, take: () => undefined }
  await expect(pacedServer({ ...options, port: server.port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
})
