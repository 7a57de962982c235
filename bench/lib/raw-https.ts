import { connect, type TLSSocket } from 'node:tls'

export interface Peer {
  readonly host: string
  readonly port: number
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export interface RawAnswer {
  readonly code: number
  readonly bytes: number
}

const headEnd = Buffer.from('\r\n\r\n')

/**
 * One HTTP/1.1 connection that sends prepared bytes and reads no more of the answer than its length: a client that
 * costs little, since it runs on the same processor as what is measured.
 */
export class RawConnection implements Disposable {
  readonly #socket: TLSSocket
  #pending: { resolve(answer: RawAnswer): void; reject(err: Error): void } | undefined
  #head: Buffer | undefined
  #code = 0
  #bytes = 0
  #left = 0

  private constructor(socket: TLSSocket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (err) => this.#pending?.reject(err))
    socket.on('close', () => this.#pending?.reject(new Error('the connection was closed')))
  }

  static async open({ host, port, ca, cert, key }: Peer): Promise<RawConnection> {
    const socket = connect({ host, port, ca, cert, key, servername: 'localhost', ALPNProtocols: ['http/1.1'] })
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    socket.setNoDelay(true)
    return new RawConnection(socket)
  }

  request(message: Buffer): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#socket.write(message)
    })
  }

  [Symbol.dispose](): void {
    this.#pending = undefined
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    if (this.#left > 0) {
      this.#left -= chunk.length
    } else {
      const all = this.#head === undefined ? chunk : Buffer.concat([this.#head, chunk])
      const end = all.indexOf(headEnd)
      if (end < 0) {
        this.#head = all
        return
      }
      this.#head = undefined
      this.#begin(all.toString('latin1', 0, end), all.length - end - headEnd.length)
    }
    if (this.#left > 0) return
    const pending = this.#pending
    this.#pending = undefined
    pending?.resolve({ code: this.#code, bytes: this.#bytes })
  }

  #begin(head: string, had: number): void {
    this.#code = Number(head.slice(9, 12))
    this.#bytes = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN)
    if (Number.isNaN(this.#bytes)) this.#bytes = 0
    this.#left = this.#bytes - had
  }
}

/** A request as the bytes that go over the wire. */
export function message(
  method: string,
  path: string,
  { body, accept = 'application/json' }: { body?: string; accept?: string } = {},
): Buffer {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: localhost', `Accept: ${accept}`, 'User-Agent: skiff-bench/1']
  if (body !== undefined) lines.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body ?? ''}`)
}
