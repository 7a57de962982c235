import { timingSafeEqual } from 'node:crypto'
import { isExpired } from '../../api/meta/status.ts'
import { type AbortOptions, withDeadline } from '../../lib/async.ts'
import { machineTimeIn } from '../../lib/clock.ts'
import { campaignInEtcd } from './etcd-campaign.ts'
import { EtcdClient, type EtcdOptions, prefixEnd, revisionOf } from './etcd-client.ts'
import { watchEtcd } from './etcd-watch.ts'
import { decodeRange, decodeTxn, encodeRange, encodeTxn, type RangeRequest, type RangeResponse } from './etcd-wire.ts'
import { type EtcdTls, Framer } from './grpc-unary.ts'
import type { StorePosition } from './incarnation.ts'
import { checkTransaction } from './limits.ts'
import type {
  CommitResult,
  Condition,
  KeyValue,
  Leadership,
  ListOptions,
  ListResult,
  Store,
  StoreBatch,
  StoreWatchOptions,
  Transaction,
  Write,
} from './store.ts'

const rangePath = '/etcdserverpb.KV/Range'
const txnPath = '/etcdserverpb.KV/Txn'
/** Keys per request: with more, one answer would hold up all others on the connection. */
const pageSize = 500
/** How many versions of a key are looked through for one's own write after a lost answer. */
const maxVersions = 32

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
  readonly #framer = new Framer()

  constructor(options: EtcdOptions) {
    this.#client = new EtcdClient(options)
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
      this.#client.calls.maintenance.defragment({ deadline: machineTimeIn(defragmentMs) }),
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
    return await this.#getAt(key, opts)
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

  async commit(transaction: Transaction, opts: AbortOptions): Promise<CommitResult> {
    checkTransaction(transaction)
    const message = this.#framer.message((writer) => encodeTxn(writer, transaction))
    return await this.#client.unary('transaction', { path: txnPath, message, ...opts }, async (answer, isRepeated) => {
      const { revision, succeeded, found } = decodeTxn(answer)
      if (succeeded) return { committed: true, revision }
      const own = isRepeated ? await this.#findOwn(transaction, opts) : undefined
      if (own !== undefined) return { committed: true, revision: own }
      const byKey = new Map(found.map((item) => [item.key, item]))
      return { committed: false, revision, current: new Map(transaction.conditions.map(({ key }) => [key, byKey.get(key)])) }
    })
  }

  watch(options: StoreWatchOptions): AsyncIterable<StoreBatch> {
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

  async #getAt(key: string, opts: AbortOptions, revision?: number): Promise<{ item: KeyValue | undefined; revision: number }> {
    const found = await this.#range('read', { key, revision }, opts)
    return { item: found.items[0], revision: found.revision }
  }

  async #page({ prefix, after, limit, at, keysOnly, signal }: PageOptions): Promise<ListResult> {
    const key = after === undefined || after < prefix ? prefix : `${after}\0`
    const { items, revision, count } = await this.#range(
      'list',
      { key, end: prefixEnd(prefix), limit, revision: at, keysOnly },
      { signal },
    )
    return { items, revision: at ?? revision, remaining: count - items.length }
  }

  #range(what: string, request: RangeRequest, opts: AbortOptions): Promise<RangeResponse> {
    const message = this.#framer.message((writer) => encodeRange(writer, request))
    return this.#client.unary(what, { path: rangePath, message, ...opts }, decodeRange)
  }

  /**
   * The revision at which an earlier attempt of this transaction was carried out, if it was. A write is one's own when
   * the same bytes stand where they were to be put; a delete, when the version that it was to remove is gone.
   */
  async #findOwn(transaction: Transaction, opts: AbortOptions): Promise<number | undefined> {
    const puts = transaction.writes.filter((write) => 'put' in write)
    const witness = puts.find((write) => guardOf(write.put, transaction.conditions) !== undefined)
    if (witness === undefined) return await this.#findDelete(transaction, opts)
    const before = guardOf(witness.put, transaction.conditions) ?? 0
    let at: number | undefined
    for (let version = 0; version < maxVersions; version++) {
      const item = await this.#versionAt(witness.put, opts, at)
      if (item === undefined || item.modRevision <= before) return undefined
      if (await this.#areAllAt(puts, item.modRevision, opts)) return item.modRevision
      at = item.modRevision - 1
    }
    return undefined
  }

  async #areAllAt(puts: readonly Extract<Write, { put: string }>[], revision: number, opts: AbortOptions): Promise<boolean> {
    for (const { put, value } of puts) {
      const item = await this.#versionAt(put, opts, revision)
      if (item?.modRevision !== revision || !areSame(item.value, value)) return false
    }
    return true
  }

  async #findDelete({ conditions, writes }: Transaction, opts: AbortOptions): Promise<number | undefined> {
    const removed = writes.flatMap((write) => ('delete' in write ? [write.delete] : []))
    const witness = removed.find((key) => guardOf(key, conditions) !== undefined)
    if (witness === undefined) return undefined
    const { item, revision } = await this.#getAt(witness, opts)
    return item === undefined || item.createRevision > (guardOf(witness, conditions) ?? 0) ? revision : undefined
  }

  /** Undefined as well when that revision was compacted away. */
  async #versionAt(key: string, opts: AbortOptions, at: number | undefined): Promise<KeyValue | undefined> {
    try {
      return (await this.#getAt(key, opts, at)).item
    } catch (err) {
      if (isExpired(err)) return undefined
      throw err
    }
  }
}

interface PageOptions extends AbortOptions {
  readonly prefix: string
  readonly after: string | undefined
  readonly limit: number
  readonly at: number | undefined
  readonly keysOnly: boolean
}

/** The revision that the transaction demands of a key. */
function guardOf(key: string, conditions: readonly Condition[]): number | undefined {
  const guard = conditions.find((condition) => condition.key === key && 'modRevision' in condition)
  return guard !== undefined && 'modRevision' in guard ? guard.modRevision : undefined
}

const areSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b)
