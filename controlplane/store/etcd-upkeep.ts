import { type AbortOptions, sleep } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Metrics } from '../../lib/metrics.ts'
import type { Service } from '../../lib/service.ts'
import type { EtcdStatus, EtcdStore } from './etcd.ts'

export interface EtcdUpkeepOptions {
  readonly store: EtcdStore
  /** What etcd was started with. */
  readonly quotaBytes: number
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly everyMs?: number
}

const warnShare = 0.7
/** So much must be free before writes are let in again, or it would be full at once. */
const freeShare = 0.1

/** Shows how full etcd is, warns in time, and gets a full one out of its read-only state when compacting frees space. */
export function createEtcdUpkeep(options: EtcdUpkeepOptions): Service {
  const { store, quotaBytes, clock, log, metrics, everyMs = 30_000 } = options
  const size = metrics.gauge('etcd_size_bytes', 'Size of the etcd database file')
  const quota = metrics.gauge('etcd_quota_bytes', 'Size at which etcd takes no more writes')
  const full = metrics.gauge('etcd_out_of_space', '1 while etcd takes no writes for want of space')
  return {
    name: 'etcd upkeep',
    async run(signal) {
      let wasHigh = false
      while (!signal.aborted) {
        const status = await store.status({ signal })
        size.set(status.sizeBytes)
        quota.set(quotaBytes)
        full.set(status.isOutOfSpace ? 1 : 0)
        const isHigh = status.sizeBytes > quotaBytes * warnShare
        if (isHigh && !wasHigh) log.warn('etcd is getting full', { sizeBytes: status.sizeBytes, quotaBytes })
        wasHigh = isHigh
        if (status.isOutOfSpace) await recover(options, status, { signal })
        await sleep(clock, everyMs, signal).catch(() => undefined) // Aborted: the loop ends.
      }
    },
  }
}

async function recover({ store, quotaBytes, log }: EtcdUpkeepOptions, before: EtcdStatus, opts: AbortOptions): Promise<void> {
  log.error('etcd is out of space; compacting and defragmenting it', { sizeBytes: before.sizeBytes, quotaBytes })
  await store.compact(before.revision, opts)
  await store.defragment(opts)
  const { sizeBytes } = await store.status(opts)
  if (sizeBytes > quotaBytes * (1 - freeShare)) {
    log.error('etcd is still full: delete objects, or raise --etcd-quota-mib', { sizeBytes, quotaBytes })
    return
  }
  await store.disarmSpaceAlarm(opts)
  log.info('etcd takes writes again', { sizeBytes, quotaBytes })
}
