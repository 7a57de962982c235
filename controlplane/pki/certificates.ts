import { type AbortOptions, Bell, isAbort } from '../../lib/async.ts'
import { readCertificate } from '../../lib/certificate.ts'
import { type Clock, formatTime } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Metrics } from '../../lib/metrics.ts'
import type { Service } from '../../lib/service.ts'
import type { Pki } from './pki.ts'

export interface CertificatesOptions {
  readonly pki: Pki
  /** Renews what is due, or everything. Gives the same certificates again when nothing is. */
  readonly load: (options: { readonly renewAll: boolean }) => Promise<Pki>
  /** Puts new certificates into use. */
  readonly use: (pki: Pki) => Promise<void>
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

/** Looked after this often at least: the clock may be moved, or files be removed. */
const lookEveryMs = 600_000
const retryMs = 30_000

/** Renews the control plane's own certificates while it runs. */
export class Certificates implements Service {
  readonly name = 'certificates'
  readonly #options: CertificatesOptions
  readonly #bell = new Bell()
  readonly #end
  #pki: Pki
  #working: Promise<unknown> = Promise.resolve()

  constructor(options: CertificatesOptions) {
    this.#options = options
    this.#pki = options.pki
    const names = options.pki.certificates.map(({ name }) => name)
    const help = 'When a certificate of the control plane ends, in seconds since 1970'
    this.#end = options.metrics.gauge('certificate_end_seconds', help, { certificate: names })
    this.#measure()
  }

  get pki(): Pki {
    return this.#pki
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    while (!signal.aborted) {
      let timeoutMs = retryMs
      try {
        await this.#load(false)
        timeoutMs = this.#untilDueMs()
      } catch (err) {
        if (!isAbort(err, signal)) log.error('certificates cannot be renewed', { err })
      }
      await this.#bell.wait({ signal, clock, timeoutMs }).catch(() => undefined) // Aborted: the loop ends.
    }
  }

  /** Renews all of them now, the authorities' excepted. */
  async rotate({ signal }: AbortOptions): Promise<void> {
    signal.throwIfAborted()
    await this.#load(true)
    this.#bell.ring()
  }

  /** One at a time. */
  #load(renewAll: boolean): Promise<void> {
    const work = this.#working.then(() => this.#renew(renewAll))
    this.#working = work.catch(() => undefined) // Told to whoever asked.
    return work
  }

  async #renew(renewAll: boolean): Promise<void> {
    const { load, use, log } = this.#options
    const known = new Map(this.#pki.certificates.map(({ name, cert }) => [name, cert]))
    const next = await load({ renewAll })
    const renewed = next.certificates.filter(({ name, cert }) => known.get(name) !== cert)
    if (renewed.length === 0) return
    await use(next)
    this.#pki = next
    this.#measure()
    for (const { name, cert } of renewed)
      log.info('certificate renewed', { certificate: name, until: formatTime(readCertificate(cert).endMs) })
  }

  #untilDueMs(): number {
    const now = this.#options.clock.now()
    const due = Math.min(...this.#pki.certificates.map(({ cert }) => readCertificate(cert).renewMs))
    return Math.min(Math.max(due - now, 1000), lookEveryMs)
  }

  #measure(): void {
    for (const { name, cert } of this.#pki.certificates)
      this.#end.set(Math.floor(readCertificate(cert).endMs / 1000), { certificate: name })
  }
}
