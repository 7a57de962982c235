import { once } from 'node:events'
import { createServer } from 'node:http'
import { aborted } from '../lib/async.ts'
import type { Metrics } from '../lib/metrics.ts'
import type { Service } from '../lib/service.ts'

/** Serves `/metrics` and `/healthz` on an address of this machine, as in `127.0.0.1:6447`. Nobody needs it to manage the node. */
export function metricsServer(address: string, metrics: Metrics): Service {
  const at = address.lastIndexOf(':')
  const host = address.slice(0, at)
  const port = Number(address.slice(at + 1))
  return {
    name: 'metrics server',
    async run(signal) {
      const server = createServer((request, response) => {
        const answer = async (): Promise<{ code: number; type: string; body: string }> => {
          if (request.method !== 'GET') return { code: 405, type: 'text/plain', body: 'only GET\n' }
          if (request.url === '/healthz') return { code: 200, type: 'text/plain', body: 'ok\n' }
          if (request.url !== '/metrics') return { code: 404, type: 'text/plain', body: 'not found\n' }
          const { contentType, body } = await metrics.render()
          return { code: 200, type: contentType, body }
        }
        answer().then(
          ({ code, type, body }) => response.writeHead(code, { 'content-type': type }).end(body),
          () => response.writeHead(500).end(),
        )
      })
      server.requestTimeout = 10_000
      server.maxConnections = 32
      server.listen(port, host)
      await once(server, 'listening')
      await aborted(signal)
      server.closeAllConnections()
      server.close()
    },
  }
}
