import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unavailable } from '../../api/meta/status.ts'
import type { PodStreams } from '../../api/meta/streams.ts'
import type { Client } from '../../client/client.ts'
import { type HttpsTransport, httpsTransport } from '../../client/https-transport.ts'
import { podStreams } from '../../client/streams.ts'
import { createClient } from '../../client/typed-client.ts'
import { systemClock } from '../../lib/clock.ts'
import { type Log, silentLog } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import type { Limits } from '../apiserver/options.ts'
import { createApiServer } from '../apiserver/server.ts'
import { loadOrCreatePki, type Pki } from '../pki/pki.ts'
import { createWorld, type World } from './world.ts'

export interface ServedWorld extends AsyncDisposable {
  readonly world: World<typeof systemClock>
  readonly url: string
  readonly pki: Pki
  readonly ca: string
  readonly admin: { readonly cert: string; readonly key: string }
  /** Over HTTP/2; as the administrator when no certificate is given. */
  client(pair?: { readonly cert: string; readonly key: string }): Client
  /** Logs and exec as `ctl` does them. */
  readonly remoteStreams: PodStreams
}

const noNode = (): never => {
  throw unavailable('there is no node in this world')
}
/** No agent: every stream says so. */
export const noStreams: PodStreams = { log: noNode, exec: noNode }

/** A world behind a real API server over TLS on the loopback address. */
export async function createServedWorld({
  streams = noStreams,
  ownStreams = streams,
  limits = {},
  port = 0,
  historyPerKind,
  log = silentLog,
}: {
  streams?: PodStreams
  /** For other control planes. */
  ownStreams?: PodStreams
  limits?: Partial<Limits>
  port?: number
  historyPerKind?: number
  /** Of the API server. */
  log?: Log
} = {}): Promise<ServedWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-served-'))
  const pki = await loadOrCreatePki(folder, { hosts: ['127.0.0.1', 'localhost'], clock: systemClock, log: silentLog })
  const world = await createWorld({ clock: systemClock, ...(historyPerKind === undefined ? {} : { historyPerKind }) })
  const ca = pki.clusterAuthority.cert
  const { cert, key } = pki.apiserver
  const server = createApiServer({
    registry: world.registry,
    streams,
    ownStreams,
    tls: { cert, key, ca },
    host: '127.0.0.1',
    port,
    clock: systemClock,
    log,
    metrics: createMetrics('skiff_'),
    limits,
  })
  const stop = new AbortController()
  const running = server.run(stop.signal)
  const { port: at } = await server.listening()
  const url = `https://127.0.0.1:${at}`
  const opened: HttpsTransport[] = []
  return {
    world,
    url,
    pki,
    ca,
    admin: pki.admin,
    remoteStreams: podStreams({ server: url, ca, cert: pki.admin.cert, key: pki.admin.key, clock: systemClock }),
    client(pair = pki.admin) {
      const made = httpsTransport({ server: url, ca, cert: pair.cert, key: pair.key, clock: systemClock })
      opened.push(made)
      return createClient(made)
    },
    async [Symbol.asyncDispose]() {
      for (const one of opened) one.close()
      stop.abort()
      await running
      await world[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
