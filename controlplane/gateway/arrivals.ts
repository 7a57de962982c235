import type { Socket } from 'node:net'
import type { Clock } from '../../lib/clock.ts'
import type { Turns } from '../../lib/slots.ts'

/** Times in milliseconds. */
export interface ArrivalLimits {
  /** Places: admitted, and not yet at their first call. */
  readonly atOnce: number
  /** Whoever takes longer loses its place and goes on. */
  readonly placeMs: number
  /** Whoever has not come to a call by then is cut off. */
  readonly callMs: number
  /** Waiting; one more, and the one that came first has to go. */
  readonly waiting: number
  /** From coming to the first record in full, and from there to a place. */
  readonly waitMs: number
}

const usual: ArrivalLimits = { atOnce: 12, placeMs: 1_000, callMs: 15_000, waiting: 2_048, waitMs: 15_000 }

/** TLS 1.3, 5.1: a type, two bytes of version, two of length, and at most so many bytes. A handshake begins with its type. */
const record = { handshake: 22, headBytes: 5, mostBytes: 16_384 }

export interface ArrivalsOptions {
  /** Takes a connection over. What it has sent so far is in its read buffer. */
  readonly admit: (socket: Socket) => void
  readonly clock: Clock
  readonly turns?: Turns | undefined
  readonly limits?: Partial<ArrivalLimits>
}

interface Waiting {
  readonly socket: Socket
  readonly peer: string
  said: Buffer
  /** Stops listening to the socket. */
  release(): void
}

interface Admitted {
  readonly socket: Socket
  hasPlace: boolean
  /** It needs none any more. */
  end(): void
}

const nobody = (): void => undefined

/**
 * Connections on their way to their first call. A handshake is some encryption on each side; when all nodes come back at
 * once, hundreds of them would make one turn of the event loop, in which no heartbeat is heard. So only a few are under
 * way at a time, each of a peer that has sent the first record of one. Who waits is listened to: whoever has gone leaves,
 * and takes nobody's place. By turns the last to come and the first are admitted. The last has the most patience left;
 * with a load that outlasts everybody's, the first to come are those who are just leaving. But who only ever serves the
 * last can be kept from all others by a few strangers that come again and again.
 */
export class Arrivals {
  readonly #options: ArrivalsOptions
  readonly #limits: ArrivalLimits
  /** In the order of coming, also those that are not ready. */
  readonly #waiting = new Set<Waiting>()
  /** Those of them that have sent a record. */
  readonly #ready: Waiting[] = []
  /** By the peer's address. */
  readonly #admitted = new Map<string, Admitted>()
  #places = 0
  #isLastNext = true
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
    socket.on('error', nobody) // Its end is heard of anyway.
    const peer = peerOf(socket)
    if (peer === undefined) {
      socket.destroy()
      return
    }
    const [first] = this.#waiting
    if (first !== undefined && this.#waiting.size >= this.#limits.waiting) this.#drop(first)
    const patience = (): Disposable => this.#options.clock.after(this.#limits.waitMs, gone)
    const hear = (chunk: Buffer): void => {
      one.said = Buffer.concat([one.said, chunk])
      const has = recordIn(one.said)
      if (has === 'none') gone()
      if (has !== 'whole' || this.#ready.includes(one)) return
      until[Symbol.dispose]()
      until = patience()
      this.#ready.push(one)
      this.#admit()
    }
    const gone = (): void => this.#drop(one)
    let until = patience()
    const one: Waiting = {
      socket,
      peer,
      said: Buffer.alloc(0),
      release() {
        until[Symbol.dispose]()
        socket.off('data', hear)
        for (const event of ['end', 'close']) socket.off(event, gone)
      },
    }
    this.#waiting.add(one)
    for (const event of ['end', 'close']) socket.on(event, gone)
    socket.on('data', hear)
  }

  /** It has come to its first call. */
  arrived(peer: string): void {
    this.#admitted.get(peer)?.end()
  }

  /** Ends all that have not come to a call. */
  close(): void {
    for (const one of this.#waiting) this.#drop(one)
    for (const { socket } of this.#admitted.values()) socket.destroy()
  }

  #drop(one: Waiting): void {
    this.#leave(one)
    one.socket.destroy()
  }

  #leave(one: Waiting): void {
    one.release()
    this.#waiting.delete(one)
    const at = this.#ready.indexOf(one)
    if (at !== -1) this.#ready.splice(at, 1)
  }

  #admit(): void {
    if (this.#isAdmitting) return
    const { turns, admit } = this.#options
    while (this.#places < this.#limits.atOnce) {
      const one = this.#isLastNext ? this.#ready.at(-1) : this.#ready[0]
      if (one === undefined) return
      if (turns !== undefined && !turns.isYoung()) {
        this.#isAdmitting = true
        turns.next(() => {
          this.#isAdmitting = false
          this.#admit()
        })
        return
      }
      this.#isLastNext = !this.#isLastNext
      this.#leave(one)
      this.#place(one)
      one.socket.pause()
      one.socket.unshift(one.said)
      admit(one.socket)
    }
  }

  #place({ socket, peer }: Waiting): void {
    const { clock } = this.#options
    const end = (): void => {
      for (const timer of [place, call]) timer[Symbol.dispose]()
      socket.off('close', end)
      this.#admitted.delete(peer)
      this.#free(one)
    }
    const one: Admitted = { socket, hasPlace: true, end }
    const place = clock.after(this.#limits.placeMs, () => this.#free(one))
    const call = clock.after(this.#limits.callMs, () => socket.destroy())
    socket.on('close', end)
    this.#admitted.set(peer, one)
    this.#places++
  }

  #free(one: Admitted): void {
    if (!one.hasPlace) return
    one.hasPlace = false
    this.#places--
    this.#admit()
  }
}

function recordIn(said: Buffer): 'none' | 'part' | 'whole' {
  const { handshake, headBytes, mostBytes } = record
  if (said.length > headBytes + mostBytes || (said.length > 0 && said[0] !== handshake)) return 'none'
  return said.length >= headBytes && said.length >= headBytes + said.readUInt16BE(headBytes - 2) ? 'whole' : 'part'
}

/** As gRPC names the peer of a call. Undefined where the connection has ended. */
export const peerOf = ({ remoteAddress, remotePort }: Socket): string | undefined =>
  remoteAddress === undefined ? undefined : `${remoteAddress}:${remotePort}`
