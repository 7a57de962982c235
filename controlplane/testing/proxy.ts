import { connect, createServer, type Socket } from 'node:net'

export interface FaultyProxy extends AsyncDisposable {
  readonly port: number
  /** Connections made so far. */
  readonly connections: number
  /** Cuts every connection that is open. */
  cut(): void
  /** Cuts each of the next `times` connections after the server has sent so many bytes on it. */
  cutAfter(bytes: number, times: number): void
  /** The next thing that the client sends gets through; its answer does not, and the connection is cut `ms` later. */
  loseNextAnswer(ms: number): void
  /** What the server sends arrives so much later. */
  slow(ms: number): void
  /** Refuses new connections, and cuts the open ones, while true. */
  refuse(isRefusing: boolean): void
}

interface Faults {
  cutAfterBytes: number
  cutsLeft: number
  loseAfterMs: number | undefined
  isRefusing: boolean
  slowMs: number
}

/** A TCP proxy on the loopback address, in front of `port`, that breaks when told. */
export async function faultyProxy(port: number): Promise<FaultyProxy> {
  const open = new Set<Socket>()
  const faults: Faults = { cutAfterBytes: 0, cutsLeft: 0, loseAfterMs: undefined, isRefusing: false, slowMs: 0 }
  let connections = 0
  const cut = (): void => {
    for (const socket of open) socket.destroy()
  }
  const server = createServer((client) => {
    if (faults.isRefusing) {
      client.destroy()
      return
    }
    connections++
    open.add(client)
    client.on('close', () => open.delete(client))
    forward(client, port, faults)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a listening server has a port')
  return {
    port: address.port,
    get connections() {
      return connections
    },
    cut,
    cutAfter(bytes, times) {
      faults.cutAfterBytes = bytes
      faults.cutsLeft = times
    },
    loseNextAnswer(ms) {
      faults.loseAfterMs = ms
    },
    slow(ms) {
      faults.slowMs = ms
    },
    refuse(isRefusing) {
      faults.isRefusing = isRefusing
      if (isRefusing) cut()
    },
    async [Symbol.asyncDispose]() {
      cut()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function forward(client: Socket, port: number, faults: Faults): void {
  const upstream = connect(port, '127.0.0.1')
  let isDeaf = false
  let sent = 0
  const end = (): void => {
    client.destroy()
    upstream.destroy()
  }
  const isLimited = faults.cutsLeft > 0
  if (isLimited) faults.cutsLeft--
  client.on('data', (chunk) => {
    upstream.write(chunk)
    if (faults.loseAfterMs === undefined) return
    isDeaf = true
    setTimeout(end, faults.loseAfterMs)
    faults.loseAfterMs = undefined
  })
  upstream.on('data', (chunk) => {
    if (isDeaf) return
    sent += chunk.length
    if (faults.slowMs > 0) setTimeout(() => client.destroyed || client.write(chunk), faults.slowMs)
    else if (!client.write(chunk)) {
      upstream.pause()
      client.once('drain', () => upstream.resume())
    }
    if (isLimited && sent > faults.cutAfterBytes) end()
  })
  for (const socket of [client, upstream]) {
    socket.on('error', end)
    socket.on('close', end)
  }
}
