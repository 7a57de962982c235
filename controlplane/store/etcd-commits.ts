import { timingSafeEqual } from 'node:crypto'
import type { ICompare, IRequestOp, ITxnRequest, ITxnResponse } from 'etcd3'
import { isExpired } from '../../api/meta/status.ts'
import { must } from '../../lib/assert.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { type EtcdClient, keyValueOf, readKey, revisionOf } from './etcd-client.ts'
import { refusalOf } from './etcd-errors.ts'
import { checkTransaction } from './limits.ts'
import { type CommitResult, type Condition, type KeyValue, rootPrefix, type Transaction, type Write } from './store.ts'

/** How many versions of a key are looked through for one's own write after a lost answer. */
const maxVersions = 32
/** Requests on their way at once. What comes meanwhile waits for the next one, and shares it. */
const maxRequests = 2
/** Transactions that share a request, and the bytes that they may have: a request holds up the answers behind it. */
const maxShared = 64
const maxSharedBytes = 512 * 1024
/** etcd counts the operations of a transaction together with those of the one that it is in, up to 128. */
const maxSharedOperations = 32
/**
 * Written by every request that several transactions share. etcd does not see the size of what lies inside of such a
 * request: without a write of its own it would be let through when etcd is out of space.
 */
const markKey = `${rootPrefix}shared-commits`

interface Waiting {
  readonly transaction: Transaction
  readonly bytes: number
  resolve(result: CommitResult): void
  reject(err: unknown): void
}

/**
 * Commits transactions. While requests are on their way, those that come share the next request, each with conditions
 * of its own: one that fails does not touch the others. Transactions of one request have one revision, so none of them
 * names a key that another one writes.
 */
export class EtcdCommits {
  readonly #client: EtcdClient
  #waiting: Waiting[] = []
  #requests = 0

  constructor(client: EtcdClient) {
    this.#client = client
  }

  async commit(transaction: Transaction, { signal }: AbortOptions): Promise<CommitResult> {
    checkTransaction(transaction)
    signal.throwIfAborted()
    const bytes = transaction.writes.reduce((sum, write) => sum + ('put' in write ? write.value.length : 0), 0)
    return await new Promise<CommitResult>((resolve, reject) => {
      // What was sent may be carried out all the same, as when a single request is given up.
      const stop = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting)
        reject(signal.reason)
      }
      const settle = (): void => signal.removeEventListener('abort', stop)
      const waiting: Waiting = {
        transaction,
        bytes,
        resolve: (result) => {
          settle()
          resolve(result)
        },
        reject: (err) => {
          settle()
          reject(err)
        },
      }
      signal.addEventListener('abort', stop, { once: true })
      this.#waiting.push(waiting)
      this.#sendOn()
    })
  }

  #sendOn(): void {
    while (this.#requests < maxRequests && this.#waiting.length > 0) {
      const { shared, left } = takeShared(this.#waiting)
      this.#waiting = left
      this.#requests++
      // Never rejects: each transaction gets its own error.
      void this.#send(shared).finally(() => {
        this.#requests--
        this.#sendOn()
      })
    }
  }

  async #send(shared: readonly Waiting[], wasSentBefore = false): Promise<void> {
    try {
      const transactions = shared.map(({ transaction }) => transaction)
      const { results, isSentBefore } = await commitAll(this.#client, transactions, wasSentBefore)
      if (results !== undefined) {
        for (const [index, one] of shared.entries()) one.resolve(must(results[index], 'each transaction has a result'))
        return
      }
      // Whom it is about comes out one by one. Out of space, etcd still deletes.
      for (const one of shared) await this.#send([one], isSentBefore)
    } catch (err) {
      for (const one of shared) one.reject(err)
    }
  }
}

const keyOfWrite = (write: Write): string => ('put' in write ? write.put : write.delete)

/** The first of those who wait, and others that may share its request; the order of the rest is kept. */
function takeShared(waiting: readonly Waiting[]): { readonly shared: Waiting[]; readonly left: Waiting[] } {
  const shared: Waiting[] = []
  const left: Waiting[] = []
  const written = new Set<string>()
  const named = new Set<string>()
  let bytes = 0
  for (const one of waiting) {
    const { conditions, writes } = one.transaction
    const own = writes.map(keyOfWrite)
    const isApart = !own.some((key) => written.has(key) || named.has(key)) && !conditions.some(({ key }) => written.has(key))
    const hasRoom = shared.length < maxShared && bytes + one.bytes <= maxSharedBytes
    const isFirst = shared.length === 0
    if (!isFirst && !(isApart && hasRoom && mayShare(one) && mayShare(must(shared[0], 'there is a first one')))) {
      left.push(one)
      continue
    }
    shared.push(one)
    bytes += one.bytes
    for (const key of own) written.add(key)
    for (const { key } of conditions) named.add(key)
  }
  return { shared, left }
}

/** A lease that is gone fails the whole request. */
function mayShare({ transaction: { conditions, writes } }: Waiting): boolean {
  const isSmall = Math.max(conditions.length, writes.length) <= maxSharedOperations
  return isSmall && !writes.some((write) => 'put' in write && write.leaseId !== undefined)
}

/** Without results when etcd refused a shared request as a whole, before it did anything of it. */
interface Outcome {
  readonly results: readonly CommitResult[] | undefined
  /** An attempt may have been carried out whose answer was lost. */
  readonly isSentBefore: boolean
}

async function commitAll(client: EtcdClient, transactions: readonly Transaction[], wasSentBefore: boolean): Promise<Outcome> {
  const request = sharedRequest(transactions)
  let isSentBefore = wasSentBefore
  return await client.call('transaction', { signal: client.closed }, async (call) => {
    try {
      const response = await client.calls.kv.txn(request, call)
      const revision = revisionOf(response.header.revision)
      const answers = transactions.length === 1 ? [response] : innerAnswers(response)
      const results: CommitResult[] = []
      for (const [index, transaction] of transactions.entries()) {
        const answer = must(answers[index], 'etcd answers each transaction')
        results.push(await resultOf(client, transaction, { answer, revision, isSentBefore }))
      }
      return { results, isSentBefore }
    } catch (err) {
      if (transactions.length === 1 || refusalOf(err) === undefined) throw err
      return { results: undefined, isSentBefore }
    } finally {
      isSentBefore = true
    }
  })
}

const innerAnswers = ({ responses }: ITxnResponse): readonly ITxnResponse[] =>
  responses.flatMap(({ response_txn }) => (response_txn === undefined || response_txn === null ? [] : [response_txn]))

async function resultOf(
  client: EtcdClient,
  transaction: Transaction,
  { answer, revision, isSentBefore }: { answer: ITxnResponse; revision: number; isSentBefore: boolean },
): Promise<CommitResult> {
  if (answer.succeeded) return { committed: true, revision }
  const own = isSentBefore ? await findOwn(client, transaction, { signal: client.closed }) : undefined
  if (own !== undefined) return { committed: true, revision: own }
  const found = answer.responses.flatMap((one) => one.response_range.kvs.map(keyValueOf))
  const byKey = new Map(found.map((item) => [item.key, item]))
  return { committed: false, revision, current: new Map(transaction.conditions.map(({ key }) => [key, byKey.get(key)])) }
}

function sharedRequest(transactions: readonly Transaction[]): ITxnRequest {
  const [first, ...others] = transactions
  if (others.length === 0) return txnRequest(must(first, 'there is a transaction'))
  const mark: readonly Write[] = transactions.some(({ writes }) => writes.some((write) => 'put' in write))
    ? [{ put: markKey, value: new Uint8Array() }]
    : []
  return {
    success: [...mark.map(requestOf), ...transactions.map((transaction) => ({ request_txn: txnRequest(transaction) }))],
  }
}

/**
 * The revision at which an earlier attempt of this transaction was carried out, if it was. A write is one's own when
 * the same bytes stand where they were to be put; a delete, when the version that it was to remove is gone.
 */
async function findOwn(client: EtcdClient, transaction: Transaction, opts: AbortOptions): Promise<number | undefined> {
  const puts = transaction.writes.filter((write) => 'put' in write)
  const witness = puts.find((write) => guardOf(write.put, transaction.conditions) !== undefined)
  if (witness === undefined) return await findDelete(client, transaction, opts)
  const before = guardOf(witness.put, transaction.conditions) ?? 0
  let at: number | undefined
  for (let version = 0; version < maxVersions; version++) {
    const item = await versionAt(client, witness.put, opts, at)
    if (item === undefined || item.modRevision <= before) return undefined
    if (await areAllAt(client, puts, item.modRevision, opts)) return item.modRevision
    at = item.modRevision - 1
  }
  return undefined
}

async function areAllAt(
  client: EtcdClient,
  puts: readonly Extract<Write, { put: string }>[],
  revision: number,
  opts: AbortOptions,
): Promise<boolean> {
  for (const { put, value } of puts) {
    const item = await versionAt(client, put, opts, revision)
    if (item?.modRevision !== revision || !areSame(item.value, value)) return false
  }
  return true
}

async function findDelete(
  client: EtcdClient,
  { conditions, writes }: Transaction,
  opts: AbortOptions,
): Promise<number | undefined> {
  const removed = writes.flatMap((write) => ('delete' in write ? [write.delete] : []))
  const witness = removed.find((key) => guardOf(key, conditions) !== undefined)
  if (witness === undefined) return undefined
  const { item, revision } = await readKey(client, witness, opts)
  return item === undefined || item.createRevision > (guardOf(witness, conditions) ?? 0) ? revision : undefined
}

/** Undefined as well when that revision was compacted away. */
async function versionAt(
  client: EtcdClient,
  key: string,
  opts: AbortOptions,
  at: number | undefined,
): Promise<KeyValue | undefined> {
  try {
    return (await readKey(client, key, opts, at)).item
  } catch (err) {
    if (isExpired(err)) return undefined
    throw err
  }
}

function txnRequest({ conditions, writes }: Transaction): ITxnRequest {
  const keys = [...new Set(conditions.map(({ key }) => key))]
  return {
    compare: conditions.map(compareOf),
    success: writes.map(requestOf),
    failure: keys.map((key) => ({ request_range: { key: Buffer.from(key) } })),
  }
}

function compareOf(condition: Condition): ICompare {
  const key = Buffer.from(condition.key)
  if ('modRevision' in condition) return { key, target: 'Mod', result: 'Equal', mod_revision: String(condition.modRevision) }
  return { key, target: 'Create', result: 'Equal', create_revision: String(condition.createRevision) }
}

function requestOf(write: Write): IRequestOp {
  if ('delete' in write) return { request_delete_range: { key: Buffer.from(write.delete) } }
  const lease = write.leaseId === undefined ? {} : { lease: write.leaseId }
  return { request_put: { key: Buffer.from(write.put), value: Buffer.from(write.value), ...lease } }
}

/** The revision that the transaction demands of a key. */
function guardOf(key: string, conditions: readonly Condition[]): number | undefined {
  const guard = conditions.find((condition) => condition.key === key && 'modRevision' in condition)
  return guard !== undefined && 'modRevision' in guard ? guard.modRevision : undefined
}

const areSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b)
