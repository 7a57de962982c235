import type { Socket } from 'node:net'
import type { Clock } from '../../lib/clock.ts'
import type { Turns } from '../../lib/slots.ts'

/** Times in milliseconds. */
export interface ArrivalLimits {
  /** Admitted and not yet at their first call. */
  readonly atOnce: number
  /** Holds a place no longer than this, whatever it does. */
  readonly placeMs: number
  /** Waiting; one more, and the one that came first has to go. */
  readonly waiting: number
  /** For the first bytes of a connection. */
  readonly silentMs: number
  /** Bytes that one may send before it is admitted: more than the first message of any handshake. */
  readonly bytes: number
}

const usual: ArrivalLimits = { atOnce: 12, placeMs: 3_000, waiting: 2_048, silentMs: 10_000, bytes: 16_384 }

export interface ArrivalsOptions {
  /** Takes a connection over. What it has sent so far is in its read buffer. */
  readonly admit: (socket: Socket) => void
  readonly clock: Clock
  readonly turns?: Turns | undefined
  readonly limits?: Partial<ArrivalLimits>
}

interface Waiting {
  readonly socket: Socket
  readonly said: Buffer[]
  bytes: number
  /** Stops listening to the socket. */
  release(): void
}

const nobody = (): void => undefined

/**
 * Connections on their way to their first call. A handshake is some encryption on each side; when all nodes come back at
 * once, hundreds of them would make one turn of the event loop, in which no heartbeat is heard. So only a few are under
 * way at a time. Who waits is listened to: whoever has gone leaves, and takes nobody's place. The one that came last is
 * admitted first: it has the most patience left, and under a load that outlasts everybody's patience the others' places
 * would be given to those who are just leaving.
 */
export class Arrivals {
  readonly #options: ArrivalsOptions
  readonly #limits: ArrivalLimits
  /** In the order of coming, silent ones too. */
  readonly #waiting = new Set<Waiting>()
  /** Those of them that have sent something. */
  readonly #ready: Waiting[] = []
  /** By the peer's address. */
  readonly #admitted = new Map<string, { readonly socket: Socket; free(): void }>()
  #isAdmitting = false

  constructor(options: ArrivalsOptions) {
    this.#options = options
    this.#limits = { ...usual, ...options.limits }
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size
  }

  add(socket: Socket): void {
    const [first] = this.#waiting
    if (first !== undefined && this.#waiting.size >= this.#limits.waiting) this.#drop(first)
    const silence = this.#options.clock.after(this.#limits.silentMs, () => this.#drop(one))
    const hear = (chunk: Buffer): void => {
      silence[Symbol.dispose]()
      this.#heard(one, chunk)
    }
    const gone = (): void => this.#drop(one)
    const one: Waiting = {
      socket,
      said: [],
      bytes: 0,
      release() {
        silence[Symbol.dispose]()
        socket.off('data', hear)
        for (const event of ['end', 'close']) socket.off(event, gone)
      },
    }
    this.#waiting.add(one)
    socket.on('error', nobody) // Its end is heard of anyway.
    for (const event of ['end', 'close']) socket.on(event, gone)
    socket.on('data', hear)
  }

  /** It has come to its first call. */
  arrived(peer: string): void {
    this.#admitted.get(peer)?.free()
  }

  /** Ends all that have not come to a call. */
  close(): void {
    for (const one of this.#waiting) this.#drop(one)
    for (const { socket } of this.#admitted.values()) socket.destroy()
  }

  #heard(one: Waiting, chunk: Buffer): void {
    one.said.push(chunk)
    one.bytes += chunk.length
    if (one.bytes > this.#limits.bytes) this.#drop(one)
    else if (one.said.length === 1) {
      this.#ready.push(one)
      this.#admit()
    }
  }

  #drop(one: Waiting): void {
    this.#leave(one)
    one.socket.destroy()
  }

  #leave(one: Waiting): void {
    one.release()
    this.#waiting.delete(one)
    const at = this.#ready.lastIndexOf(one)
    if (at !== -1) this.#ready.splice(at, 1)
  }

  #admit(): void {
    if (this.#isAdmitting) return
    const { turns } = this.#options
    for (let one = this.#ready.at(-1); one !== undefined; one = this.#ready.at(-1)) {
      if (this.#admitted.size >= this.#limits.atOnce) return
      if (turns !== undefined && !turns.isYoung()) {
        this.#isAdmitting = true
        turns.next(() => {
          this.#isAdmitting = false
          this.#admit()
        })
        return
      }
      this.#leave(one)
      const { socket, said } = one
      this.#place(socket)
      socket.pause()
      socket.unshift(Buffer.concat(said))
      this.#options.admit(socket)
    }
  }

  #place(socket: Socket): void {
    const peer = peerOf(socket)
    const free = (): void => {
      until[Symbol.dispose]()
      socket.off('close', free)
      this.#admitted.delete(peer)
      this.#admit()
    }
    const until = this.#options.clock.after(this.#limits.placeMs, free)
    socket.on('close', free)
    this.#admitted.set(peer, { socket, free })
  }
}

/** As gRPC names the peer of a call. */
export const peerOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}:${remotePort}`
