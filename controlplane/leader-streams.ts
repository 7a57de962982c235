import { unavailable } from '../api/meta/status.ts'
import type { PodStreams } from '../api/meta/streams.ts'
import type { ConnectionOptions } from '../client/http2-connection.ts'
import { httpsTransport } from '../client/https-transport.ts'
import { podStreams } from '../client/streams.ts'
import { type AbortOptions, withDeadline } from '../lib/async.ts'
import type { Clock } from '../lib/clock.ts'
import type { Store } from './store/store.ts'

/** What a leader writes into its election key: its name for people, and where its API server is found. */
export interface LeaderRecord {
  readonly identity: string
  /** As in `https://10.0.0.1:6443`; the first that answers is used. */
  readonly servers: readonly string[]
}

export interface LeaderStreamsOptions {
  /** Of this control plane itself, for when it leads. */
  readonly own: PodStreams
  readonly leads: () => boolean
  readonly store: Pick<Store, 'get'>
  /** Where the leader's record lies. */
  readonly key: string
  /** Asked for each connection, so that renewed certificates are used. */
  readonly tls: () => { readonly ca: string; readonly cert: string; readonly key: string }
  readonly clock: Clock
}

/** How long the leader's addresses have to answer; all are tried at once. */
const findDeadlineMs = 3_000
const maxServers = 16
/** In the certificate of every API server, by whatever address it is reached. */
const serverName = 'kubernetes'

/**
 * Logs and exec at any control plane: agents hold their sessions with the leader, so that another one asks the leader's
 * API server, under the control plane's own identity and after it has decided itself whether its client may.
 */
export function leaderStreams(options: LeaderStreamsOptions): PodStreams {
  const { own, leads } = options
  const streams = async (opts: AbortOptions): Promise<PodStreams> => (leads() ? own : podStreams(await findLeader(options, opts)))
  return {
    async *log(ref, log, opts) {
      yield* (await streams(opts)).log(ref, log, opts)
    },
    async *exec(ref, exec, input, opts) {
      yield* (await streams(opts)).exec(ref, exec, input, opts)
    },
  }
}

async function findLeader(
  { store, key, tls, clock }: LeaderStreamsOptions,
  { signal }: AbortOptions,
): Promise<ConnectionOptions> {
  const { item } = await store.get(key, { signal })
  if (item === undefined) throw unavailable('no control plane leads at the moment, so no node can be reached: ask again', 2)
  const { identity, servers } = parseRecord(item.value)
  const connections = servers.map((server) => ({ server, serverName, ...tls(), clock }))
  const found = new AbortController()
  const asked = connections.map(async (connection) => {
    await answers(connection, AbortSignal.any([signal, found.signal]))
    return connection
  })
  try {
    return await Promise.any(asked)
  } catch {
    signal.throwIfAborted()
    throw unavailable(
      `the control plane that leads, "${identity}", is not reached at ${servers.join(', ') || 'any address'}: ask again, or ask it itself`,
      2,
    )
  } finally {
    found.abort(new Error('the leader is found'))
  }
}

/** Rejects when no API server that has our authority's certificate answers there in time. */
async function answers(connection: ConnectionOptions, signal: AbortSignal): Promise<void> {
  const transport = httpsTransport(connection)
  const { clock, server } = connection
  try {
    await withDeadline({ clock, ms: findDeadlineMs, signal, what: `asking ${server}` }, (inner) =>
      transport.get('/livez', { signal: inner }),
    )
  } finally {
    transport.close()
  }
}

/** A record that cannot be read, as of another version, names no server. */
export function parseRecord(value: Uint8Array): LeaderRecord {
  const text = new TextDecoder().decode(value)
  try {
    const { identity, servers } = JSON.parse(text) as Partial<Record<keyof LeaderRecord, unknown>>
    const isServer = (one: unknown): one is string => typeof one === 'string' && /^https:\/\/[\w.:[\]-]+$/.test(one)
    if (typeof identity === 'string' && Array.isArray(servers))
      return { identity, servers: servers.filter(isServer).slice(0, maxServers) }
  } catch {
    // Another version wrote its name only.
  }
  return { identity: text.slice(0, 253), servers: [] }
}
