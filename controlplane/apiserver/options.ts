import type { PodStreams } from '../../api/meta/streams.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Metrics } from '../../lib/metrics.ts'
import type { Registry } from '../registry/options.ts'
import type { Maintenance } from './maintenance.ts'

export interface ApiServerOptions {
  readonly registry: Registry
  readonly streams: PodStreams
  /** For what another control plane asks, which has passed on a request of its own: never passed on again. */
  readonly ownStreams?: PodStreams
  /** PEM. `ca` signs the certificates of clients. */
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string }
  readonly host: string
  /** 0: any free one, see `address`. */
  readonly port: number
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Says what is missing before requests can be served; nothing: ready. */
  readonly notReady?: () => string | undefined
  readonly limits?: Partial<Limits>
  readonly maintenance?: Maintenance
}

export interface Limits {
  readonly bodyBytes: number
  /** Requests that are being answered at once, watches and streams not counted. */
  readonly inFlight: number
  /** Watches, logs and execs at once. */
  readonly longRunning: number
  readonly connections: number
  readonly streamsPerConnection: number
  readonly requestMs: number
  /** From the first byte of a request over HTTP/1.1 to the end of its headers. */
  readonly headerMs: number
  /** Of a connection over HTTP/2 on which nothing comes or goes. */
  readonly idleMs: number
  /** How long a watch lives when its client does not say. */
  readonly watchMs: number
  readonly bookmarkMs: number
}

export const defaultLimits: Limits = {
  bodyBytes: 3 * 1024 * 1024,
  inFlight: 400,
  longRunning: 10_000,
  connections: 10_000,
  streamsPerConnection: 250,
  requestMs: 60_000,
  headerMs: 10_000,
  idleMs: 300_000,
  watchMs: 1_800_000,
  bookmarkMs: 10_000,
}
