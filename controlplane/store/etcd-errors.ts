import {
  EtcdError,
  GRPCAbortedError,
  GRPCCancelledError,
  GRPCDataLossError,
  GRPCDeadlineExceededError,
  GRPCInternalError,
  GRPCUnavailableError,
  GRPCUnknownError,
} from 'etcd3'
import { expired, StatusError, timeout, tooLarge, unavailable } from '../../api/meta/status.ts'
import { TimeoutError } from '../../lib/async.ts'

/** After these nobody knows whether a write was carried out; a read can be sent again. */
const unknownOutcomes = [
  GRPCUnavailableError,
  GRPCDeadlineExceededError,
  GRPCCancelledError,
  GRPCUnknownError,
  GRPCInternalError,
  GRPCDataLossError,
  GRPCAbortedError,
  TimeoutError,
]

/** A deletion with a grace period is a write; one without is none. */
const outOfSpace =
  'etcd is out of space and takes no writes; reading and deleting at once (--force --grace-period=0) still work. ' +
  'An etcd that Skiff runs is compacted and defragmented by itself within a minute; if it stays full, delete objects or ' +
  'raise --etcd-quota-mib. For your own etcd: etcdctl compact, etcdctl defrag, etcdctl alarm disarm (docs/operations.md)'

/** etcd says these when it refuses a request before doing anything of it. */
const refusals: readonly { readonly says: string; error(message: string): StatusError }[] = [
  {
    says: 'database space exceeded',
    error: () => unavailable(outOfSpace, 10),
  },
  { says: 'required revision has been compacted', error: () => expired('the revision was compacted away: list again') },
  { says: 'request is too large', error: (message) => tooLarge(message) },
  { says: 'larger than max', error: (message) => tooLarge(message) },
  { says: 'too many operations', error: (message) => tooLarge(message) },
]

/** An error of etcd that sending the request again cannot cure, as a StatusError; undefined for all others. */
export function refusalOf(err: unknown): StatusError | undefined {
  const message = messageOf(err)
  return refusals.find(({ says }) => message.includes(says))?.error(`etcd: ${message}`)
}

/** Whether the request may be sent again, and may have been carried out already. */
export function isUnknownOutcome(err: unknown): boolean {
  if (refusalOf(err) !== undefined) return false
  // etcd has no leader, too many requests waiting, or a change of its members under way: all pass.
  return unknownOutcomes.some((type) => err instanceof type) || (err instanceof EtcdError && /etcdserver: /.test(err.message))
}

/** What a caller gets in the end. */
export function asStatusError(err: unknown, what: string): Error {
  if (err instanceof StatusError) return err
  const refusal = refusalOf(err)
  if (refusal !== undefined) return refusal
  const message = `etcd, ${what}: ${messageOf(err)}`
  const isLate = err instanceof GRPCDeadlineExceededError || err instanceof TimeoutError
  if (isLate) return new StatusError(timeout(message).status, { cause: err })
  if (isUnknownOutcome(err)) return new StatusError(unavailable(message).status, { cause: err })
  return new Error(message, { cause: err })
}

const messageOf = (err: unknown): string => (err instanceof Error ? err.message : String(err))
