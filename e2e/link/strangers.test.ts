import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { expect, test } from 'vitest'
import { createBed, eventually } from './testbed.ts'

/** What a client sends first, of which nothing follows. */
async function clientHello(): Promise<Buffer> {
  const said: Buffer[] = []
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      said.push(chunk)
      done()
    },
  })
  const client = connectTls({ socket: wire, servername: 'localhost', ALPNProtocols: ['h2'] }).on('error', () => undefined)
  await new Promise((resolve) => setImmediate(resolve))
  client.destroy()
  return Buffer.concat(said)
}

test('strangers that begin a handshake, or do not, keep no node out and are cut off with the gateway', async () => {
  await using bed = await createBed()
  const hello = await clientHello()
  expect(hello[0]).toBe(22)
  const words = [hello, hello.subarray(0, 9), Buffer.alloc(0), Buffer.from('GET / HTTP/1.1\r\n\r\n')]
  const strangers: Socket[] = []
  for (let index = 0; index < 120; index++) {
    const socket = connect({ host: '127.0.0.1', port: bed.gateway.port ?? 0 }).on('error', () => undefined)
    strangers.push(socket)
    await once(socket, 'connect')
    socket.resume().write(words[index % words.length] ?? '')
  }
  const a = await bed.agent('a')
  await eventually(() => expect(a.session.isConnected).toBe(true))
  const open = (): number => strangers.filter(({ closed }) => !closed).length
  await eventually(() => expect(open()).toBe(90)) // Who speaks no TLS has gone.
  await bed.stopGateway()
  await eventually(() => expect(open()).toBe(0))
}, 20_000)
