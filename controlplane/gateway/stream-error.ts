import { internalError, StatusError, timeout } from '../../api/meta/status.ts'
import type { StreamError } from '../../api/proto/agent.ts'
import { TimeoutError } from '../../lib/async.ts'

/** What failed on the way to a pod, as the API tells it. */
export function gatewayError(node: string, err: unknown): StatusError {
  if (err instanceof StatusError) return err
  if (err instanceof TimeoutError) return timeout(`node "${node}" did not answer: ${err.message}`)
  if (isStreamError(err)) return fromAgent(err)
  return internalError(`stream of node "${node}": ${err instanceof Error ? err.message : String(err)}`)
}

const isStreamError = (err: unknown): err is StreamError =>
  typeof err === 'object' && err !== null && !(err instanceof Error) && 'reason' in err && 'code' in err

/** An agent's word is not trusted to be a valid Status. */
function fromAgent({ code, reason, message }: StreamError): StatusError {
  const isFailure = Number.isInteger(code) && code >= 400 && code <= 599
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    code: isFailure ? code : 500,
    reason: reason === '' ? 'InternalError' : reason,
    message,
  })
}
