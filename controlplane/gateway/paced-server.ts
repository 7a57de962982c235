import { createServer, type Socket } from 'node:net'
import type { Turns } from '../../lib/turns.ts'

export interface PacedServer {
  readonly port: number
  close(): void
}

export interface PacedServerOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly turns: Turns
  readonly nowMs: () => number
  readonly take: (socket: Socket) => void
}

/** Whoever has waited so long is answered no more: an agent tries another control plane then, or this one again. */
const maxWaitMs = 4_000
const maxWaiting = 10_000

/**
 * Hands connections on one at a time, behind whatever else waits for a turn. Each costs some milliseconds of
 * encryption: when all nodes come at once, as after an outage, those that are in are served first, or all would take so
 * long that they begin anew.
 */
export async function pacedServer({ host, port, turns, nowMs, take }: PacedServerOptions): Promise<PacedServer> {
  const waiting: { readonly socket: Socket; readonly sinceMs: number }[] = []
  let isTaking = false
  const takeAll = async (): Promise<void> => {
    if (isTaking) return
    isTaking = true
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { socket, sinceMs } = next
      await turns.next()
      if (!server.listening || nowMs() - sinceMs > maxWaitMs) socket.destroy()
      else if (!socket.destroyed) take(socket)
    }
    isTaking = false
  }
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
    socket.on('error', () => undefined) // Seen by whoever takes it.
    if (waiting.length >= maxWaiting) {
      socket.destroy()
      return
    }
    waiting.push({ socket, sinceMs: nowMs() })
    void takeAll() // Never rejects.
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close() {
      server.close()
      for (const { socket } of waiting) socket.destroy()
    },
  }
}
