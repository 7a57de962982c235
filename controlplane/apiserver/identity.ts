import type { IncomingHttpHeaders } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Identity } from '../../api/meta/request.ts'
import { badRequest, forbidden, unauthorized } from '../../api/meta/status.ts'

const known = new WeakMap<object, Identity | undefined>()

/** Who is on the other end: the certificate's common name and organisations. undefined: nobody whom our CA knows. */
function identityOf(socket: TLSSocket): Identity | undefined {
  if (known.has(socket)) return known.get(socket)
  const identity = socket.authorized ? ofCertificate(socket) : undefined
  known.set(socket, identity)
  return identity
}

/**
 * Whose rights a request has: the certificate's, or those that an administrator asks to be held to with `--as` and
 * `--as-group`. Throws Unauthorized, Forbidden or BadRequest: a wish for fewer rights is never passed over.
 */
export function requesterOf(socket: TLSSocket, headers: IncomingHttpHeaders): Identity {
  const identity = identityOf(socket)
  if (identity === undefined) throw unauthorized()
  const isAsked = Object.keys(headers).some((name) => name.startsWith('impersonate-'))
  return isAsked ? impersonated(identity, headers) : identity
}

function impersonated(identity: Identity, headers: IncomingHttpHeaders): Identity {
  const user = [headers['impersonate-user'] ?? []].flat()[0] ?? ''
  if (user === '') throw badRequest('impersonation needs a user: Impersonate-User is missing')
  if (!identity.groups.includes('system:masters')) {
    const users = { group: '', plural: 'users', kind: 'User' }
    throw forbidden(
      users,
      user,
      `User "${identity.user}" cannot impersonate resource "users" in API group "" at the cluster scope`,
    )
  }
  const groups = [headers['impersonate-group'] ?? []].flat().flatMap((line) => line.split(/,\s*/))
  return { user, groups: [...new Set([...groups, 'system:authenticated'])] }
}

function ofCertificate(socket: TLSSocket): Identity | undefined {
  const { subject } = socket.getPeerCertificate()
  const user = [subject?.CN ?? []].flat()[0]
  if (user === undefined || user === '') return undefined
  return { user, groups: [...[subject.O ?? []].flat(), 'system:authenticated'] }
}
