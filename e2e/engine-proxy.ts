// Stands between an agent and its Docker Engine, and does to their talk what a bad day does.
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'

export type Mischief =
  /** Everything takes longer. */
  | { readonly do: 'delay'; readonly ms: number }
  /** The connection breaks, and nothing was done. */
  | { readonly do: 'resetBefore' }
  /** It was done, and then the connection breaks. */
  | { readonly do: 'resetAfter' }
  | { readonly do: 'refuse' }
  /** Half of the answer, then the connection breaks. */
  | { readonly do: 'cut' }
  /** A success whose body is no JSON. */
  | { readonly do: 'garble' }
  /** No answer, ever. */
  | { readonly do: 'hang' }

/** What is to be done to this call, if anything. */
export type Rule = (call: { readonly method: string; readonly path: string }) => Mischief | undefined

export interface EngineProxy extends AsyncDisposable {
  readonly host: string
  /** The calls that something was done to, since the last rule was set. */
  readonly hits: number
  /** Sets what happens from now on; without a rule everything passes, and calls that hang are cut. */
  follow(rule?: Rule): void
}

/** Listens on `socket` for calls to the engine at `engine`. Both are paths: no network namespace is in the way. */
export async function startEngineProxy(engine: string, socket: string): Promise<EngineProxy> {
  let rule: Rule = () => undefined
  let hits = 0
  const hanging = new Set<IncomingMessage>()
  const open = new Set<Duplex>()
  const mischiefFor = ({ method = '', url = '' }: IncomingMessage): Mischief | undefined => {
    const found = rule({ method, path: url.replace(/^\/v[\d.]+/, '') })
    if (found !== undefined) hits++
    return found
  }
  const server = createServer((call, answer) => {
    const mischief = mischiefFor(call)
    if (mischief?.do === 'hang') hanging.add(call)
    else void serve(engine, call, answer, mischief)
  })
  // exec and attach become a stream in both directions.
  server.on('upgrade', (call: IncomingMessage, near: Duplex, head: Buffer) => {
    const mischief = mischiefFor(call)
    if (mischief !== undefined && mischief.do !== 'delay') {
      near.destroy()
      return
    }
    const far = connect(engine)
    const headers = call.rawHeaders.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('')
    far.write(`${call.method} ${call.url} HTTP/1.1\r\n${headers}\r\n`)
    far.write(head)
    near.pipe(far).pipe(near)
    for (const end of [near, far]) {
      open.add(end)
      end.once('close', () => open.delete(end))
      end.on('error', () => {
        near.destroy()
        far.destroy()
      })
    }
  })
  server.on('connection', (connection) => {
    open.add(connection)
    connection.once('close', () => open.delete(connection))
    connection.on('error', () => undefined) // Its other end has gone.
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  return {
    host: `unix://${socket}`,
    get hits() {
      return hits
    },
    follow: (next) => {
      hits = 0
      rule = next ?? (() => undefined)
      for (const call of hanging) call.socket.destroy()
      hanging.clear()
    },
    [Symbol.asyncDispose]: async () => {
      for (const connection of open) connection.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Passes a call on, and its answer back as it comes; but for the mischief. */
async function serve(engine: string, call: IncomingMessage, answer: ServerResponse, mischief?: Mischief): Promise<void> {
  if (mischief?.do === 'delay') await new Promise((resolve) => setTimeout(resolve, mischief.ms))
  if (mischief?.do === 'resetBefore') return void call.socket.destroy()
  if (mischief?.do === 'refuse') {
    answer.writeHead(500, { 'content-type': 'application/json' })
    return void answer.end('{"message":"the engine has a bad day"}')
  }
  const { method, url, headers } = call
  const onward = request({ socketPath: engine, method, path: url, headers })
  const broken = (): void => void call.socket.destroy()
  onward.on('error', broken)
  answer.on('close', () => onward.destroy())
  onward.on('response', (reply) => {
    reply.on('error', broken)
    if (mischief === undefined || mischief.do === 'delay') {
      answer.writeHead(reply.statusCode ?? 500, reply.headers)
      answer.flushHeaders()
      reply.pipe(answer)
      return
    }
    const body: Buffer[] = []
    reply.on('data', (chunk: Buffer) => {
      body.push(chunk)
      // A stream without end is cut after its first piece.
      if (mischief.do === 'cut' && reply.headers['content-length'] === undefined && url?.includes('/events') === true)
        half(call, answer, reply, Buffer.concat(body))
    })
    reply.on('end', () => {
      if (mischief.do === 'resetAfter') call.socket.destroy()
      else if (mischief.do === 'cut') half(call, answer, reply, Buffer.concat(body))
      else {
        answer.writeHead(reply.statusCode ?? 500, { 'content-type': 'application/json' })
        answer.end('{"this is": no JS')
      }
    })
  })
  call.pipe(onward)
}

function half(call: IncomingMessage, answer: ServerResponse, reply: IncomingMessage, body: Buffer): void {
  if (answer.headersSent) return
  answer.writeHead(reply.statusCode ?? 500, { ...reply.headers, 'content-length': body.length })
  answer.write(body.subarray(0, Math.floor(body.length / 2)), () => call.socket.destroy())
}
