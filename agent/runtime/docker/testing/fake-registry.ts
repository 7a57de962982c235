// A registry with one image, run as a program inside a test engine's network namespace:
//   node fake-registry.ts PORT [USER:PASSWORD]
import { createHash } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import process from 'node:process'
import { gzipSync } from 'node:zlib'
import { tar } from '../../../images/tar.ts'

interface Blob {
  readonly type: string
  readonly data: Uint8Array
}

const sha256 = (data: Uint8Array): string => `sha256:${createHash('sha256').update(data).digest('hex')}`
const docker = 'application/vnd.docker'

/** Blobs by digest, and the manifest of `test/image:1`. */
function content(): { readonly blobs: ReadonlyMap<string, Blob>; readonly manifest: Blob } {
  const layer = tar([{ type: 'file', path: 'hello', data: Buffer.from('hello\n'), mode: 0o644 }])
  const packed = gzipSync(layer)
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { User: '1000', Cmd: ['/hello'] },
      rootfs: { type: 'layers', diff_ids: [sha256(layer)] },
    }),
  )
  const describe = (type: string, data: Uint8Array) => ({
    mediaType: `${docker}.${type}`,
    size: data.length,
    digest: sha256(data),
  })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${docker}.distribution.manifest.v2+json`,
      config: describe('container.image.v1+json', config),
      layers: [describe('image.rootfs.diff.tar.gzip', packed)],
    }),
  )
  const blobs = [packed, config].map((data) => [sha256(data), { type: 'application/octet-stream', data }] as const)
  return { blobs: new Map(blobs), manifest: { type: `${docker}.distribution.manifest.v2+json`, data: manifest } }
}

function send(res: ServerResponse, { type, data }: Blob): void {
  res.writeHead(200, { 'Content-Type': type, 'Content-Length': data.length, 'Docker-Content-Digest': sha256(data) })
  res.end(data)
}

function serve(port: number, login: string | undefined): void {
  const { blobs, manifest } = content()
  const expected = login === undefined ? undefined : `Basic ${Buffer.from(login).toString('base64')}`
  const server = createServer((req, res) => {
    const path = req.url ?? ''
    const blob = blobs.get(/\/blobs\/(sha256:\w+)$/.exec(path)?.[1] ?? '')
    if (expected !== undefined && req.headers.authorization !== expected) {
      res.writeHead(401, { 'WWW-Authenticate': 'Basic realm="test"', 'Content-Type': 'application/json' })
      res.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}')
    } else if (path === '/v2/') send(res, { type: 'application/json', data: Buffer.from('{}') })
    else if (blob !== undefined) send(res, blob)
    else if (/^\/v2\/test\/image\/manifests\/(1|latest|sha256:\w+)$/.test(path)) send(res, manifest)
    else {
      res.writeHead(404, { 'Content-Type': 'application/json' })
      res.end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
    }
  })
  server.listen(port, '127.0.0.1')
  process.on('SIGTERM', () => process.exit(0))
}

serve(Number(process.argv[2]), process.argv[3])
