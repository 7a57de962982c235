import type { IRangeRequest } from 'etcd3'
import { isExpired } from '../../api/meta/status.ts'
import { type AbortOptions, withDeadline } from '../../lib/async.ts'
import { campaignInEtcd } from './etcd-campaign.ts'
import { EtcdClient, type EtcdOptions, type EtcdTls, keyValueOf, prefixEnd, readKey, revisionOf } from './etcd-client.ts'
import { EtcdCommits } from './etcd-commits.ts'
import { watchEtcd } from './etcd-watch.ts'
import type { StorePosition } from './incarnation.ts'
import type { CommitResult, KeyValue, Leadership, ListOptions, ListResult, Store, StoreBatch, Transaction } from './store.ts'

/** Keys per request: with more, one answer would hold up all others on the connection. */
const pageSize = 500

export interface EtcdStatus {
  readonly version: string
  readonly sizeBytes: number
  readonly revision: number
  /** etcd takes no writes since it was full, and will not before it is told to. */
  readonly isOutOfSpace: boolean
}

/** How long etcd may take to write its file anew: it answers nothing else meanwhile. */
const defragmentMs = 120_000

/** Nothing is connected before the first call. `close` ends what is under way. */
export function etcdStore(options: EtcdOptions): EtcdStore {
  return new EtcdStore(options)
}

export class EtcdStore implements Store {
  readonly #client: EtcdClient
  readonly #commits: EtcdCommits

  constructor(options: EtcdOptions) {
    this.#client = new EtcdClient(options)
    this.#commits = new EtcdCommits(this.#client)
  }

  close(): void {
    this.#client.close()
  }

  /** For connections from now on. */
  setTls(tls: EtcdTls): void {
    this.#client.setTls(tls)
  }

  /** How far the log of etcd's members and the store have come, as one member sees both. */
  async position(opts: AbortOptions): Promise<StorePosition> {
    const status = await this.#client.call('status', opts, (call) => this.#client.calls.maintenance.status(call))
    return { revision: revisionOf(status.header.revision), logIndex: Number(status.raftIndex) }
  }

  async status(opts: AbortOptions): Promise<EtcdStatus> {
    const { maintenance } = this.#client.calls
    const status = await this.#client.call('status', opts, (call) => maintenance.status(call))
    const { alarms } = await this.#client.call('alarms', opts, (call) => maintenance.alarm({ action: 'Get' }, call))
    return {
      version: status.version,
      sizeBytes: Number(status.dbSize),
      revision: revisionOf(status.header.revision),
      isOutOfSpace: alarms.some(({ alarm }) => alarm === 'Nospace'),
    }
  }

  /** Gives the space of what was compacted back. The member that is asked stands still for it. */
  async defragment({ signal }: AbortOptions): Promise<void> {
    const { clock } = this.#client.options
    await withDeadline({ clock, ms: defragmentMs, signal, what: 'defragmenting etcd' }, () =>
      this.#client.calls.maintenance.defragment({ deadline: clock.now() + defragmentMs }),
    )
  }

  /** Lets etcd take writes again. */
  async disarmSpaceAlarm(opts: AbortOptions): Promise<void> {
    const { maintenance } = this.#client.calls
    const { alarms } = await this.#client.call('alarms', opts, (call) => maintenance.alarm({ action: 'Get' }, call))
    for (const { alarm, memberID } of alarms.filter((one) => one.alarm === 'Nospace')) {
      await this.#client.call('disarming', opts, (call) => maintenance.alarm({ action: 'Deactivate', alarm, memberID }, call))
    }
  }

  async get(key: string, opts: AbortOptions): Promise<{ item: KeyValue | undefined; revision: number }> {
    return await readKey(this.#client, key, opts)
  }

  async list({ prefix, after, limit, revision, keysOnly = false, signal }: ListOptions): Promise<ListResult> {
    const items: KeyValue[] = []
    const wanted = limit === undefined || limit <= 0 ? Number.POSITIVE_INFINITY : limit
    let at = revision
    let last = after
    for (;;) {
      const page = await this.#page({
        prefix,
        after: last,
        limit: Math.min(pageSize, wanted - items.length),
        at,
        keysOnly,
        signal,
      })
      items.push(...page.items)
      at ??= page.revision // All pages are of one state.
      last = page.items.at(-1)?.key
      if (page.remaining === 0 || items.length >= wanted) return { items, revision: at, remaining: page.remaining }
    }
  }

  commit(transaction: Transaction, opts: AbortOptions): Promise<CommitResult> {
    return this.#commits.commit(transaction, opts)
  }

  watch(options: AbortOptions & { prefix: string; afterRevision: number }): AsyncIterable<StoreBatch> {
    return watchEtcd(this.#client, options)
  }

  async campaign(options: AbortOptions & { key: string; value: string; ttlMs: number }): Promise<Leadership> {
    return await campaignInEtcd(this.#client, options)
  }

  async compact(revision: number, opts: AbortOptions): Promise<void> {
    try {
      await this.#client.call('compaction', opts, (call) => this.#client.calls.kv.compact({ revision: String(revision) }, call))
    } catch (err) {
      if (!isExpired(err)) throw err // Somebody has compacted as far already.
    }
  }

  async #page({ prefix, after, limit, at, keysOnly, signal }: PageOptions): Promise<ListResult> {
    const request: IRangeRequest = {
      key: Buffer.from(after === undefined || after < prefix ? prefix : `${after}\0`),
      range_end: prefixEnd(prefix),
      limit: String(limit),
      keys_only: keysOnly,
      ...(at === undefined ? {} : { revision: String(at) }),
    }
    const response = await this.#client.call('list', { signal }, (call) => this.#client.calls.kv.range(request, call))
    const items = response.kvs.map(keyValueOf)
    return { items, revision: at ?? revisionOf(response.header.revision), remaining: Number(response.count) - items.length }
  }
}

interface PageOptions extends AbortOptions {
  readonly prefix: string
  readonly after: string | undefined
  readonly limit: number
  readonly at: number | undefined
  readonly keysOnly: boolean
}
