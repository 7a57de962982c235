import { ServerCredentials } from '@grpc/grpc-js'

/** PEM. */
export interface ServerTls {
  /** Agents must show a certificate of this authority for `system:node:<name>`. */
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const context = ({ ca, cert, key }: ServerTls) => ({ ca, cert, key, minVersion: 'TLSv1.2' as const })

/** TLS with client certificates, whose certificate can be exchanged while connections are open: these stay. */
export class RenewableCredentials extends ServerCredentials {
  constructor(tls: ServerTls) {
    super({ requestCert: true, rejectUnauthorized: true }, context(tls))
  }

  /** For connections from now on. */
  renew(tls: ServerTls): void {
    this.updateSecureContextOptions(context(tls))
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other
  }
}
