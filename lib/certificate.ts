import { X509Certificate } from 'node:crypto'

/** Certificates are valid from a little before they are issued, since hosts' clocks differ. */
export const certificateSkewMs = 300_000

/** What is left of a certificate's life when it is due to be renewed: before two thirds are over. */
const leftWhenDue = 0.4

/** When a certificate begins, is due to be renewed, and ends. Epoch milliseconds. */
export interface CertificateTimes {
  readonly commonName: string
  readonly startMs: number
  readonly renewMs: number
  readonly endMs: number
}

/** Reads a certificate's times. `pem` may hold a key beside it. Throws when there is no certificate in it. */
export function readCertificate(pem: string): CertificateTimes {
  const cert = new X509Certificate(pem.slice(Math.max(0, pem.indexOf('-----BEGIN CERTIFICATE-----'))))
  const startMs = cert.validFromDate.getTime()
  const endMs = cert.validToDate.getTime()
  const issuedMs = startMs + certificateSkewMs
  const commonName = /^CN=(.*)$/m.exec(cert.subject)?.[1] ?? ''
  return { commonName, startMs, endMs, renewMs: endMs - leftWhenDue * Math.max(0, endMs - issuedMs) }
}
