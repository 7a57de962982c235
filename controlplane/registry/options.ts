import type { KindDef } from '../../api/kinds/define.ts'
import type { ApiRequest, ApiResponse, Identity, WatchBatch, WatchRequest } from '../../api/meta/request.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import type { Leadership, Store } from '../store/store.ts'
import type { WatchCache } from '../store/watch-cache.ts'
import type { Attributes, Decision } from './authorize.ts'

export interface RegistryOptions {
  readonly store: Store
  readonly cache: WatchCache
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly kinds: readonly KindDef[]
  /** Addresses of services, as in `10.43.0.0/16`. */
  readonly serviceCidr: string
  /** As in `30000-32767`. */
  readonly nodePortRange: string
}

export type Fence = Leadership['fence']

export interface CallOptions extends AbortOptions {
  /** Every write of the call is made on the condition that this leader still leads (law 4). */
  readonly fence?: Fence | undefined
}

export interface WatchOptions extends AbortOptions {
  /** Whoever only keeps a bookmark has no use for a batch each time that others were written to. */
  readonly rarely?: boolean
}

/** What the API means, free of HTTP. Failures are StatusErrors. */
export interface Registry {
  readonly kinds: readonly KindDef[]
  request(identity: Identity, request: ApiRequest, opts: CallOptions): Promise<ApiResponse>
  /** Ends when aborted; throws Expired when the revision is gone or the reader fell behind. */
  watch(identity: Identity, request: WatchRequest, opts: WatchOptions): AsyncIterable<WatchBatch>
  /** Whether it may be done, for what is no request here: logs, exec, `kubectl auth can-i`. */
  decide(identity: Identity, asked: Attributes): Decision
}
