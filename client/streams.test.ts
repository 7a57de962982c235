import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { isForbidden, isUnavailable } from '../api/meta/status.ts'
import type { ExecInput, ExecOutput } from '../api/meta/streams.ts'
import { systemClock } from '../lib/clock.ts'
import { podStreams } from './streams.ts'

const servers: Server[] = []
const { signal } = new AbortController()

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

/** The other end of an exec: frames as the test says. */
async function peer(onSocket: (socket: WebSocket, path: string) => void, refuse?: string) {
  const server = createServer()
  servers.push(server)
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false })
  server.on('upgrade', (request, socket, head) => {
    if (refuse !== undefined) {
      socket.end(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${refuse.length}\r\nconnection: close\r\n\r\n${refuse}`)
      return
    }
    sockets.handleUpgrade(request, socket, head, (one) => onSocket(one, request.url ?? ''))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return podStreams({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, clock: systemClock })
}

const ref = { namespace: 'x', pod: 'p', uid: '', node: '', container: 'c' }
const options = { command: ['sh', '-c', 'a b'], stdin: true, stdout: true, stderr: true, tty: false }
async function* inputs(...all: ExecInput[]): AsyncGenerator<ExecInput> {
  yield* all
}
const frame = (channel: number, text: string): Buffer => Buffer.concat([Buffer.of(channel), Buffer.from(text)])

async function collect(output: AsyncIterable<ExecOutput>): Promise<readonly string[]> {
  const got: string[] = []
  for await (const one of output) got.push(one.type === 'exit' ? `exit ${one.code}` : `${one.type} ${Buffer.from(one.data)}`)
  return got
}

test('input, output and the exit code go through their channels', async () => {
  let path = ''
  const received: string[] = []
  const streams = await peer((socket, url) => {
    path = url
    socket.send(frame(1, ''))
    socket.on('message', (data: Buffer) => {
      received.push(`${data[0]} ${data.subarray(1).toString()}`)
      if (data[0] !== 255) return
      socket.send(frame(1, 'out'))
      socket.send(frame(2, 'err'))
      const details = { causes: [{ reason: 'ExitCode', message: '3' }] }
      socket.send(frame(3, JSON.stringify({ kind: 'Status', status: 'Failure', reason: 'NonZeroExitCode', details })))
    })
  })
  const stdin = inputs(
    { type: 'resize', width: 80, height: 24 },
    { type: 'stdin', data: Buffer.from('hi') },
    { type: 'stdinEnd' },
  )
  expect(await collect(streams.exec(ref, options, stdin, { signal }))).toEqual(['stdout out', 'stderr err', 'exit 3'])
  expect(received).toEqual(['4 {"Width":80,"Height":24}', '0 hi', `255 ${String.fromCharCode(0)}`])
  expect(path).toBe(
    '/api/v1/namespaces/x/pods/p/exec?container=c&stdin=true&stdout=true&stderr=true&tty=false&command=sh&command=-c&command=a%20b',
  )
})

test('a command that could not be started, a refusal and a lost connection are told apart', async () => {
  const status = (code: number, reason: string) =>
    JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code, reason, message: reason })
  const run = async (streams: Awaited<ReturnType<typeof peer>>) =>
    collect(streams.exec(ref, options, inputs(), { signal })).catch((err: unknown) => err)
  const failed = await run(await peer((socket) => socket.send(frame(3, status(500, 'InternalError')))))
  expect(String(failed)).toContain('InternalError')
  expect(isForbidden(await run(await peer(() => undefined, status(403, 'Forbidden'))))).toBe(true)
  expect(isUnavailable(await run(await peer((socket) => socket.close())))).toBe(true)
})

test('aborting ends the command with the reason', async () => {
  let isClosed = false
  const streams = await peer((socket) => {
    socket.on('close', () => {
      isClosed = true
    })
    socket.send(frame(1, 'x'))
  })
  const stop = new AbortController()
  const running = (async () => {
    for await (const _ of streams.exec(ref, options, inputs(), { signal: stop.signal })) stop.abort(new Error('enough'))
  })()
  await expect(running).rejects.toThrow('enough')
  while (!isClosed) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(isClosed).toBe(true)
})
