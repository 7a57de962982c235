import type { TLSSocket } from 'node:tls'
import type { Identity } from '../../api/meta/request.ts'

const known = new WeakMap<object, Identity | undefined>()

/** Who is on the other end: the certificate's common name and organisations. undefined: nobody whom our CA knows. */
export function identityOf(socket: TLSSocket): Identity | undefined {
  if (known.has(socket)) return known.get(socket)
  const identity = socket.authorized ? ofCertificate(socket) : undefined
  known.set(socket, identity)
  return identity
}

function ofCertificate(socket: TLSSocket): Identity | undefined {
  const { subject } = socket.getPeerCertificate()
  const user = [subject?.CN ?? []].flat()[0]
  if (user === undefined || user === '') return undefined
  return { user, groups: [...[subject.O ?? []].flat(), 'system:authenticated'] }
}
