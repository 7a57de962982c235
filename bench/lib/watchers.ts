import { type ClientHttp2Session, connect } from 'node:http2'
import type { Peer } from './raw-https.ts'

/** By then they are counted as lost. */
const lateMs = 60_000
const streamsPerSession = 125
/** Flow control as generous as that of Go's client. */
const windowBytes = 4 * 1024 * 1024

/** Watches that count the events that they get, over HTTP/2 as client-go opens them: many streams on a connection. */
export class Watchers implements Disposable {
  readonly #sessions: ClientHttp2Session[] = []
  #events = 0
  #wanted = Number.POSITIVE_INFINITY
  #tell: () => void = () => undefined
  #fail: (err: Error) => void = () => undefined
  #end: () => void = () => undefined

  static async open(peer: Peer, paths: readonly string[]): Promise<Watchers> {
    const watchers = new Watchers()
    for (let at = 0; at < paths.length; at += streamsPerSession) {
      const session = await openSession(peer)
      watchers.#sessions.push(session)
      session.on('error', (err) => watchers.#fail(err))
      await Promise.all(paths.slice(at, at + streamsPerSession).map((path) => watchers.#watch(session, path)))
    }
    return watchers
  }

  /** Resolves when so many events have come since the last call. Call it before they are caused. */
  receive(count: number): Promise<void> {
    this.#events = 0
    this.#wanted = count
    return new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`only ${this.#events} of ${count} events came`)), lateMs)
      this.#tell = resolve
      this.#fail = reject
      this.#end = () => clearTimeout(late)
    }).finally(() => this.#end())
  }

  [Symbol.dispose](): void {
    this.#tell = () => undefined
    this.#fail = () => undefined
    for (const session of this.#sessions) session.destroy()
  }

  #watch(session: ClientHttp2Session, path: string): Promise<void> {
    const stream = session.request({ ':method': 'GET', ':path': path, accept: 'application/json' })
    stream.on('data', (chunk: Buffer) => this.#count(chunk))
    stream.on('close', () => this.#fail(new Error('a watch ended')))
    return new Promise((resolve, reject) => {
      stream.on('error', reject)
      stream.on('response', (headers) => {
        if (headers[':status'] === 200) resolve()
        else reject(new Error(`a watch was answered with ${headers[':status']}`))
      })
    })
  }

  #count(chunk: Buffer): void {
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) this.#events++
    if (this.#events >= this.#wanted) this.#tell()
  }
}

async function openSession({ host, port, ca, cert, key }: Peer): Promise<ClientHttp2Session> {
  const session = connect(`https://${host}:${port}`, {
    ca,
    cert,
    key,
    servername: 'localhost',
    settings: { initialWindowSize: windowBytes },
  })
  await new Promise<void>((resolve, reject) => session.once('connect', () => resolve()).once('error', reject))
  session.setLocalWindowSize(windowBytes * 16)
  return session
}
