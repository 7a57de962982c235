import { type AbortOptions, sleep } from '../../lib/async.ts'
import { machineTimeIn } from '../../lib/clock.ts'
import { type EtcdClient, keyValueOf, revisionOf } from './etcd-client.ts'
import { watchEtcd } from './etcd-watch.ts'
import { LostError, renewLease } from './lease-renewal.ts'
import type { Leadership } from './store.ts'

type CampaignOptions = AbortOptions & { readonly key: string; readonly value: string; readonly ttlMs: number }

interface Lease {
  readonly id: string
  readonly ttlMs: number
  /** Our monotonic time before the grant was asked for: the lease can't end before this plus its time. */
  readonly sinceMs: number
}

/** Share of the lease's time after which we no longer count on it, for clocks that run at different speeds. */
const trusted = 0.85
/** Checks after which the key is read whatever the store says of itself. */
const alwaysEvery = 16

/**
 * Waits until the key is free, and takes it in one transaction. The lease is kept in the background until `lost` aborts
 * or `resign` is called.
 */
export async function campaignInEtcd(client: EtcdClient, { key, value, ttlMs, signal }: CampaignOptions): Promise<Leadership> {
  for (;;) {
    await untilFree(client, key, signal)
    const lease = await grant(client, ttlMs, signal)
    const createRevision = await take(client, { key, value, lease, signal }).catch(async (err: unknown) => {
      await revoke(client, lease)
      throw err
    })
    if (createRevision !== undefined) return lead(client, { key, createRevision, lease })
    await revoke(client, lease)
  }
}

async function untilFree(client: EtcdClient, key: string, signal: AbortSignal): Promise<void> {
  const { holder, revision } = await read(client, key, signal)
  if (holder === undefined) return
  for await (const batch of watchEtcd(client, { prefix: key, afterRevision: revision, signal })) {
    if (batch.events.some((event) => event.type === 'delete' && event.key === key)) return
  }
}

async function read(client: EtcdClient, key: string, signal: AbortSignal) {
  const response = await client.call('reading the leader', { signal }, (options) =>
    client.calls.kv.range({ key: Buffer.from(key) }, options),
  )
  const holder = response.kvs[0]
  return { holder, revision: revisionOf(response.header.revision) }
}

async function grant(client: EtcdClient, ttlMs: number, signal: AbortSignal): Promise<Lease> {
  const { clock } = client.options
  // Attempts whose answer was lost leave a lease without keys behind, which ends by itself.
  return await client.call('granting a lease', { signal }, async (options) => {
    const sinceMs = clock.monotonicMs()
    const { ID: id, TTL } = await client.calls.leaseClient.leaseGrant({ TTL: Math.ceil(ttlMs / 1000), ID: '0' }, options)
    return { id, ttlMs: Math.max(ttlMs, Number(TTL) * 1000), sinceMs }
  })
}

/** The create-revision when the key is ours; undefined when somebody was faster. */
async function take(
  client: EtcdClient,
  { key, value, lease, signal }: AbortOptions & { key: string; value: string; lease: Lease },
): Promise<number | undefined> {
  const bytes = Buffer.from(key)
  const response = await client.call('taking the lead', { signal }, (options) =>
    client.calls.kv.txn(
      {
        compare: [{ key: bytes, target: 'Create', result: 'Equal', create_revision: '0' }],
        success: [{ request_put: { key: bytes, value: Buffer.from(value), lease: lease.id } }],
        failure: [{ request_range: { key: bytes } }],
      },
      options,
    ),
  )
  if (response.succeeded) return revisionOf(response.header.revision)
  // The answer of an earlier attempt may have been lost: the lease tells whose key it is.
  const holder = response.responses[0]?.response_range.kvs[0]
  return holder?.lease === lease.id ? revisionOf(holder.create_revision) : undefined
}

function lead(
  client: EtcdClient,
  { key, createRevision, lease }: { key: string; createRevision: number; lease: Lease },
): Leadership {
  const lost = new AbortController()
  const fence = { key, createRevision }
  // It never rejects: whatever ends it, the leadership is over.
  void keep(client, { fence, lease, lost }).catch((err: unknown) => lost.abort(err))
  return {
    fence,
    lost: lost.signal,
    async resign() {
      lost.abort(new Error(`resigned from "${key}"`))
      if (client.closed.aborted) return
      const bytes = Buffer.from(key)
      await client.call('resigning', { signal: client.closed }, (options) =>
        client.calls.kv.txn(
          {
            compare: [{ key: bytes, target: 'Create', result: 'Equal', create_revision: String(createRevision) }],
            success: [{ request_delete_range: { key: bytes } }],
          },
          options,
        ),
      )
      await revoke(client, lease)
    },
  }
}

interface Held {
  readonly fence: Leadership['fence']
  readonly lease: Lease
  readonly lost: AbortController
}

/** Keeps the lease until it is lost. The end is set by our own clock, so that it comes even when etcd is silent. */
async function keep(client: EtcdClient, { fence, lease, lost }: Held): Promise<void> {
  const { clock } = client.options
  const lose = (): void => lost.abort(new Error(`the lease of "${fence.key}" could not be renewed in time`))
  const endAfter = (sinceMs: number): Disposable => clock.after(sinceMs + lease.ttlMs * trusted - clock.monotonicMs(), lose)
  let { sinceMs } = lease
  let end = endAfter(sinceMs)
  const signal = AbortSignal.any([lost.signal, client.closed])
  let toldRevision: number | undefined
  const renewed = (atMs: number, revision: number): void => {
    toldRevision = revision
    if (atMs <= sinceMs || signal.aborted) return
    sinceMs = atMs
    end[Symbol.dispose]()
    end = endAfter(sinceMs)
  }
  const told = (): number | undefined => toldRevision
  const { id, ttlMs } = lease
  try {
    await Promise.race([renewLease(client, { id, ttlMs, renewed, signal }), checkOften(client, { fence, lease, told, signal })])
  } finally {
    end[Symbol.dispose]()
  }
}

interface CheckOptions extends AbortOptions {
  readonly fence: Leadership['fence']
  readonly lease: Lease
  /** How far the store had come when the lease was last renewed. */
  told(): number | undefined
}

async function checkOften(client: EtcdClient, { fence, lease, told, signal }: CheckOptions): Promise<never> {
  const { clock, log } = client.options
  let known: number | undefined
  for (let checks = 0; ; checks++) {
    await sleep(clock, lease.ttlMs / 4, signal)
    // Nothing was written since: nor was the key.
    if (known !== undefined && known === told() && checks % alwaysEvery !== 0) continue
    try {
      known = await checkHeld(client, fence, signal)
    } catch (err) {
      if (signal.aborted || err instanceof LostError) throw err
      log.warn('the leader could not read its key', { key: fence.key, err })
    }
  }
}

/** Somebody may have deleted the key itself. */
async function checkHeld(client: EtcdClient, { key, createRevision }: Leadership['fence'], signal: AbortSignal): Promise<number> {
  const { holder, revision } = await read(client, key, signal)
  if (holder === undefined || keyValueOf(holder).createRevision !== createRevision)
    throw new LostError(`"${key}" is no longer ours`)
  return revision
}

/** Only frees the lease earlier than it would end by itself, so a failure is of no matter. */
async function revoke(client: EtcdClient, { id }: Lease): Promise<void> {
  await client.calls.leaseClient
    .leaseRevoke({ ID: id }, { deadline: machineTimeIn(1_000) })
    .catch((err: unknown) => client.options.log.debug('revoking a lease failed', { err }))
}
