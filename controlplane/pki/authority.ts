import 'reflect-metadata' // @peculiar/x509 needs it first.
import { createHash, createPrivateKey, createPublicKey, type KeyObject, type webcrypto, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { certificateSkewMs, readCertificate } from '../../lib/certificate.ts'
import { type Clock, dateOf } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { createWhole, keepPrivate, readIfThere, writeWhole } from '../../lib/private-files.ts'

export const dayMs = 86_400_000
const authorityLifeMs = 3_650 * dayMs
const defaultLifeMs = 365 * dayMs

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const

export interface CertificateRequest {
  readonly commonName: string
  readonly organizations?: readonly string[]
  readonly dnsNames?: readonly string[]
  readonly ips?: readonly string[]
  readonly usages: readonly ('server' | 'client')[]
  /** A year when not given. */
  readonly lifeMs?: number
}

/** PEM texts. */
export interface KeyPair {
  readonly cert: string
  readonly key: string
}

interface AuthorityOptions {
  readonly clock: Clock
  readonly log: Log
}

/** A certificate authority with its key. The key never leaves its file and this object. */
export class Authority {
  /** The authority's own certificate, PEM. */
  readonly cert: string
  readonly #key: KeyObject
  readonly #clock: Clock

  constructor({ cert, key, clock }: { cert: string; key: KeyObject; clock: Clock }) {
    this.cert = cert
    this.#key = key
    this.#clock = clock
  }

  /**
   * The authority in `folder`, made when there is none. What a crash left half done is finished: a certificate can be
   * made again from its key. A lost key is an error, since a new one would lock every node and user out.
   */
  static async loadOrCreate(folder: string, name: string, { clock, log }: AuthorityOptions): Promise<Authority> {
    const keyFile = join(folder, `${name}.key`)
    const certFile = join(folder, `${name}.crt`)
    const cert = await readIfThere(certFile)
    let keyText = await readIfThere(keyFile)
    if (keyText === undefined) {
      if (cert !== undefined) throw new Error(`${certFile} has no key: restore ${keyFile} from a backup, or move both away`)
      // When another process was faster, its key counts.
      await createWhole(keyFile, await newKey(), 0o600)
      keyText = await readIfThere(keyFile)
    }
    await keepPrivate(keyFile, log)
    const key = parseKey(keyFile, keyText ?? '')
    if (cert !== undefined && isGood(certFile, { cert, key, clock })) return new Authority({ cert, key, clock })
    const fresh = await selfSigned(name, key, clock)
    await writeWhole(certFile, fresh, 0o644)
    log.info('certificate authority created or renewed', { authority: name })
    return new Authority({ cert: fresh, key, clock })
  }

  /** A new key with its certificate. */
  async issue(request: CertificateRequest): Promise<KeyPair> {
    const key = await newKey()
    return { cert: await this.#sign(request, await publicKeyOf(createPrivateKey(key))), key }
  }

  /** A certificate for the key of a signing request. Of the request only the key counts, whatever else it asks for. */
  async issueFor(csrPem: string, request: CertificateRequest): Promise<string> {
    const csr = new Pkcs10CertificateRequest(csrPem)
    if (!(await csr.verify())) throw new Error('the signing request is not signed by its own key')
    return await this.#sign(request, csr.publicKey)
  }

  /** `sha256:<hex>` of the public key: what a join token pins. It stays when the certificate is renewed. */
  get publicKeyHash(): string {
    const der = createPublicKey(this.#key).export({ format: 'der', type: 'spki' })
    return `sha256:${createHash('sha256').update(der).digest('hex')}`
  }

  /** Whether the certificate is ours. Says nothing of its age. */
  hasIssued(cert: X509Certificate): boolean {
    return cert.verify(createPublicKey(this.#key))
  }

  async #sign(request: CertificateRequest, publicKey: PublicKey): Promise<string> {
    const own = await publicKeyOf(this.#key)
    const cert = await X509CertificateGenerator.create({
      subject: subjectOf(request),
      issuer: new X509Certificate(this.cert).subject,
      ...validity(this.#clock, request.lifeMs ?? defaultLifeMs),
      publicKey,
      signingKey: await webKey(this.#key),
      signingAlgorithm,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension(request.usages.map((usage) => usageIds[usage])),
        ...alternativeNames(request),
        await AuthorityKeyIdentifierExtension.create(own),
        await SubjectKeyIdentifierExtension.create(publicKey),
      ],
    })
    return `${cert.toString('pem')}\n`
  }
}

const usageIds = { server: ExtendedKeyUsage.serverAuth, client: ExtendedKeyUsage.clientAuth }

/** As structured names: text would be parsed, and a name with a comma could add parts. */
function subjectOf({ commonName, organizations = [] }: CertificateRequest): JsonName {
  return [...organizations.map((organization) => ({ O: [organization] })), { CN: [commonName] }]
}

function alternativeNames({ dnsNames = [], ips = [] }: CertificateRequest): Extension[] {
  const names = [
    ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
    ...ips.map((value) => ({ type: 'ip' as const, value })),
  ]
  return names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)]
}

function validity(clock: Clock, lifeMs: number) {
  return { notBefore: dateOf(clock.now() - certificateSkewMs), notAfter: dateOf(clock.now() + lifeMs) }
}

async function selfSigned(name: string, key: KeyObject, clock: Clock): Promise<string> {
  const publicKey = await publicKeyOf(key)
  const subject: JsonName = [{ CN: [`skiff-${name}`] }]
  const cert = await X509CertificateGenerator.create({
    subject,
    issuer: subject,
    ...validity(clock, authorityLifeMs),
    publicKey,
    signingKey: await webKey(key),
    signingAlgorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature, true),
      await SubjectKeyIdentifierExtension.create(publicKey),
    ],
  })
  return `${cert.toString('pem')}\n`
}

async function newKey(): Promise<string> {
  const { privateKey } = await crypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify'])
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', privateKey))
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' }).toString()
}

async function webKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ format: 'der', type: 'pkcs8' })
  return await crypto.subtle.importKey('pkcs8', der, keyAlgorithm, false, ['sign'])
}

async function publicKeyOf(key: KeyObject): Promise<PublicKey> {
  return new PublicKey(createPublicKey(key).export({ format: 'der', type: 'spki' }))
}

function parseKey(file: string, text: string): KeyObject {
  try {
    return createPrivateKey(text)
  } catch (err) {
    throw new Error(`${file} is damaged: restore it from a backup, since a new key would lock every node and user out`, {
      cause: err,
    })
  }
}

/** A certificate that is damaged or has become old is made again from the same key. */
function isGood(file: string, { cert, key, clock }: { cert: string; key: KeyObject; clock: Clock }): boolean {
  let parsed: X509Certificate
  try {
    parsed = new X509Certificate(cert)
  } catch {
    return false // Half written: it is made again from its key.
  }
  if (!parsed.checkPrivateKey(key)) throw new Error(`${file} belongs to another key: restore the pair from one backup`)
  return clock.now() < readCertificate(cert).renewMs
}
