// What the API server's speed is held against: a bare HTTP/2 server of Node.js with HTTP/1.1 beside it, TLS and client
// certificates, which answers prepared bytes and does nothing else. Started by bench/api.ts, with its answers in a file.
import { readFileSync } from 'node:fs'
import { createSecureServer, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import process from 'node:process'

interface Setting {
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** Bodies by path; a path that is not there is answered with what was sent. */
  readonly answers: Readonly<Record<string, string>>
}

const { ca, cert, key, answers } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Setting
const bodies = new Map(Object.entries(answers).map(([path, text]) => [path, Buffer.from(text)]))
const watchers = new Set<Http2ServerResponse>()
const server = createSecureServer({ ca, cert, key, allowHTTP1: true, requestCert: true, rejectUnauthorized: false })
server.on('request', (request, response) => {
  const [path = '', query = ''] = request.url.split('?')
  if (query.includes('watch=true')) {
    watchers.add(response)
    response.stream.on('close', () => watchers.delete(response))
    response.writeHead(200, { 'content-type': 'application/json' })
    return
  }
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const sent = Buffer.concat(chunks)
    // As an update's event reaches those who watch.
    if (request.method === 'PUT') {
      const line = Buffer.concat([Buffer.from('{"type":"MODIFIED","object":'), sent, Buffer.from('}\n')])
      for (const watcher of watchers) watcher.write(line)
    }
    const body = bodies.get(path) ?? sent
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(body.length) })
    response.end(body)
  })
})
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.once('disconnect', () => process.exit())
