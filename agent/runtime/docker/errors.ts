import { TimeoutError } from '../../../lib/async.ts'
import { RuntimeError } from '../runtime.ts'
import { number, text } from './read.ts'

/** The HTTP status of a refusal by the engine; undefined when it gave no answer. */
export function statusOf(err: unknown): number | undefined {
  return number(err, 'statusCode')
}

/** What the engine said, without the client library's frame around it. */
export function wordsOf(err: unknown): string {
  const said = text(err, 'json', 'message')
  if (said !== '') return said.trim()
  const message = err instanceof Error ? err.message : String(err)
  const words = message.replace(/^\(HTTP code \d+\) [^-]* - /, '').trim()
  const status = statusOf(err)
  return words === '' && status !== undefined ? `the engine answered with status ${status} and no word` : words
}

/** Translates a failed call; `what` says what was attempted. A RuntimeError passes as it is. */
export function runtimeError(what: string, err: unknown): RuntimeError {
  if (err instanceof RuntimeError) return err
  return new RuntimeError(codeOf(err), `${what}: ${wordsOf(err)}`, { cause: err })
}

function codeOf(err: unknown): RuntimeError['code'] {
  if (err instanceof TimeoutError) return 'Timeout'
  const status = statusOf(err)
  if (status === 404) return 'NotFound'
  if (status === 409) return 'Conflict'
  if (status !== undefined && status >= 400 && status < 500) return 'InvalidSpec'
  return 'Unavailable'
}

/** A start can fail by what the spec asks for; that is final, all else may pass. */
export function startError(err: unknown): RuntimeError {
  if (err instanceof RuntimeError) return err
  const words = wordsOf(err)
  const status = statusOf(err)
  if (status === undefined || status < 400) return runtimeError('start container', err)
  if (/no such container/i.test(words)) return new RuntimeError('NotFound', `start container: ${words}`, { cause: err })
  if (/cannot join (network|IPC|PID)|non running container/i.test(words)) {
    return new RuntimeError('Conflict', `start container: ${words}`, { cause: err })
  }
  if (status < 500 || /OCI runtime|starting container process|mounting/i.test(words)) {
    return new RuntimeError('CannotRun', runcWords(words), { cause: err })
  }
  return runtimeError('start container', err)
}

/** The part of runc's message that says something to the author of a manifest. */
export function runcWords(message: string): string {
  const frames = [
    /^(failed to create (shim task|task for container): )/,
    /^OCI runtime (create|exec|start) failed: /,
    /^runc (create|exec|run) failed: /,
    /^[a-z_]+\.go:\d+: /,
    /^starting container process caused: /,
    /^unable to start container process: /,
    /^(exec|running exec setns process).*caused: (?=exec: )/,
  ]
  let words = message.trim()
  for (let before = ''; before !== words; ) {
    before = words
    for (const frame of frames) words = words.replace(frame, '')
  }
  return words.replace(/: unknown$/, '').trim()
}

/** Which of the two ways a pull failed: the registry says that there is no such image, or something else went wrong. */
export function pullError(ref: string, err: unknown): RuntimeError {
  if (err instanceof RuntimeError) return err
  if (err instanceof TimeoutError)
    return new RuntimeError('ImagePullFailed', `pull image "${ref}": ${err.message}`, { cause: err })
  const words = wordsOf(err)
  const status = statusOf(err)
  const message = `pull image "${ref}": ${words}`
  if (status === 400 || /invalid reference format/i.test(words)) return new RuntimeError('InvalidSpec', message, { cause: err })
  if (isUnauthorized(words)) {
    return new RuntimeError('ImagePullFailed', `${message} (the registry wants another login)`, { cause: err })
  }
  if (status === 404 || /manifest.*(unknown|not found)|not found|does not exist/i.test(words)) {
    return new RuntimeError('ImageNotFound', message, { cause: err })
  }
  if (status === undefined && isUnreachable(err)) return new RuntimeError('Unavailable', message, { cause: err })
  return new RuntimeError('ImagePullFailed', message, { cause: err })
}

/** A registry that hides images from strangers says "denied or does not exist": counted as not there. */
function isUnauthorized(words: string): boolean {
  return (
    /unauthorized|no basic auth|authentication required|incorrect username|forbidden/i.test(words) &&
    !/does not exist/i.test(words)
  )
}

function isUnreachable(err: unknown): boolean {
  return ['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE', 'EACCES'].includes(text(err, 'code'))
}
