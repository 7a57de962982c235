import { createPrivateKey, type webcrypto, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import type { Certificate } from '../../api/proto/agent.ts'
import { type AbortOptions, Bell, isAbort } from '../../lib/async.ts'
import { Backoff } from '../../lib/backoff.ts'
import { readCertificate } from '../../lib/certificate.ts'
import { type Clock, formatTime } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Metrics } from '../../lib/metrics.ts'
import { readIfThere, writeWhole } from '../../lib/private-files.ts'
import type { Random } from '../../lib/random.ts'
import type { Service } from '../../lib/service.ts'
import type { ClientTls } from './channel.ts'

export interface NodeCertificateOptions {
  /** Holds `ca.crt` and `node.pem`, the node's certificate and key in one, so that a crash cannot part them. */
  readonly folder: string
  /** Control planes, tried in turn. */
  readonly addresses: readonly string[]
  /** Asks the control plane at `address` for a certificate; `tls` is what is shown to it. */
  readonly ask: (address: string, tls: ClientTls, csrPem: string, opts: AbortOptions) => Promise<Certificate>
  /** Called when there is a new one. */
  readonly onRenewed: () => void
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

/** Also looks this often whether somebody has put another certificate into the folder, or moved the clock. */
const lookEveryMs = 600_000

/** The node's certificate: read at each connect, and renewed before two thirds of its life are over. */
export class NodeCertificate implements Service {
  readonly name = 'node certificate'
  readonly #options: NodeCertificateOptions
  readonly #bell = new Bell()
  readonly #backoff: Backoff
  readonly #end
  #isAskedFor = false

  constructor(options: NodeCertificateOptions) {
    this.#options = options
    const { random, clock, metrics } = options
    this.#backoff = new Backoff({ baseMs: 1000, maxMs: 300_000, jitter: 0.5, random, clock })
    this.#end = metrics.gauge('agent_certificate_end_seconds', 'When the certificate of this node ends, in seconds since 1970')
  }

  /** What to show to a control plane. Throws when there is nothing that it would take. */
  async read(): Promise<ClientTls> {
    const { folder, clock } = this.#options
    const file = join(folder, 'node.pem')
    const [ca, pem] = await Promise.all([readIfThere(join(folder, 'ca.crt')), readIfThere(file)])
    if (ca === undefined || pem === undefined)
      throw new Error(`${ca === undefined ? join(folder, 'ca.crt') : file} is missing: ${howToGet}`)
    const { endMs } = readCertificate(pem)
    this.#end.set(Math.floor(endMs / 1000))
    if (endMs <= clock.now())
      throw new Error(`the certificate of this node ended at ${formatTime(endMs)}, no control plane takes it: ${howToGet}`)
    return { ca, cert: pem, key: pem }
  }

  /** Renews it now. */
  renew(): void {
    this.#isAskedFor = true
    this.#bell.ring()
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const timeoutMs = await this.#look(signal)
      await this.#bell.wait({ signal, clock: this.#options.clock, timeoutMs }).catch(() => undefined) // Aborted: the loop ends.
    }
  }

  /** Renews what is due. Gives the time until the next look. */
  async #look(signal: AbortSignal): Promise<number> {
    const { clock, log } = this.#options
    try {
      const tls = await this.read()
      const { renewMs } = readCertificate(tls.cert)
      if (clock.now() < renewMs && !this.#isAskedFor) return Math.min(renewMs - clock.now(), lookEveryMs)
      await this.#replace(tls, signal)
      this.#isAskedFor = false
      this.#backoff.forget('renew')
      return 0
    } catch (err) {
      if (!isAbort(err, signal)) log.error('cannot renew the certificate of this node', { err })
      return this.#backoff.next('renew')
    }
  }

  async #replace(tls: ClientTls, signal: AbortSignal): Promise<void> {
    const { folder, log, onRenewed } = this.#options
    const { commonName } = readCertificate(tls.cert)
    const { csrPem, keyPem } = await signingRequest(commonName)
    const { certPem, caPem } = await this.#askAll(tls, csrPem, signal)
    const cert = new X509Certificate(certPem)
    if (!cert.checkPrivateKey(createPrivateKey(keyPem)) || readCertificate(certPem).commonName !== commonName)
      throw new Error('the control plane sent a certificate that is not for this node and its key')
    if (!cert.verify(new X509Certificate(caPem).publicKey))
      throw new Error('the control plane sent a certificate that its own authority has not signed')
    if (!new X509Certificate(caPem).publicKey.equals(new X509Certificate(tls.ca).publicKey))
      throw new Error('the control plane sent another authority than the one that this node knows')
    await writeWhole(join(folder, 'ca.crt'), caPem, 0o644)
    await writeWhole(join(folder, 'node.pem'), `${certPem.trimEnd()}\n${keyPem}`, 0o600)
    log.info('certificate of this node renewed', { until: formatTime(readCertificate(certPem).endMs) })
    onRenewed()
  }

  /** The first answer; only a leader gives one. */
  async #askAll(tls: ClientTls, csrPem: string, signal: AbortSignal): Promise<Certificate> {
    const { addresses, ask } = this.#options
    let failure: unknown
    for (const address of addresses) {
      try {
        return await ask(address, tls, csrPem, { signal })
      } catch (err) {
        signal.throwIfAborted()
        failure = err
      }
    }
    throw failure
  }
}

const howToGet = '"ctl up" on the machine of the control plane, or "controlplane issue-node-cert" for another host, makes one'

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const

/** A new key, which stays here, and the request for its certificate. */
async function signingRequest(commonName: string): Promise<{ readonly csrPem: string; readonly keyPem: string }> {
  // Loaded when needed only, which is twice a year.
  await import('reflect-metadata') // @peculiar/x509 needs it first.
  const { Pkcs10CertificateRequestGenerator } = await import('@peculiar/x509')
  const keys: webcrypto.CryptoKeyPair = await crypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify'])
  const csr = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  })
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
  const keyPem = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' })
  return { csrPem: csr.toString('pem'), keyPem: keyPem.toString() }
}
