import { createPrivateKey, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { basename, join } from 'node:path'
import { adminIdentity, controlPlaneIdentity } from '../../api/meta/request.ts'
import { readCertificate } from '../../lib/certificate.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { keepPrivate, privateFolder, readIfThere, writeWhole } from '../../lib/private-files.ts'
import { Authority, type CertificateRequest, type KeyPair } from './authority.ts'

export interface PkiOptions {
  readonly clock: Clock
  readonly log: Log
  /** Names and addresses that nodes and people reach the control plane by, beside this machine's own. */
  readonly hosts: readonly string[]
  /** Address of the Service `kubernetes`. */
  readonly serviceIp?: string
  readonly clusterDomain?: string
  /** How long certificates are valid, those of the authorities excepted: a year when not given. */
  readonly lifeMs?: number
  /** Issues every pair anew, whatever its age. */
  readonly renewAll?: boolean
}

/** A pair and where it lies, for programs that read files. */
export interface StoredPair extends KeyPair {
  readonly certFile: string
  readonly keyFile: string
}

export interface NamedCertificate {
  readonly name: string
  readonly cert: string
}

/** Every certificate of one control plane. Calling `loadOrCreatePki` again renews what has become old. */
export interface Pki {
  readonly folder: string
  readonly clusterAuthority: Authority
  readonly clusterAuthorityFile: string
  /** etcd trusts an authority of its own, so that no node's or user's certificate opens it. */
  readonly etcdAuthority: Authority
  readonly etcdAuthorityFile: string
  /** For etcd's clients and for its peers. */
  readonly etcdServer: StoredPair
  readonly etcdClient: StoredPair
  readonly apiserver: StoredPair
  readonly gateway: StoredPair
  /** In the group `system:masters`. */
  readonly admin: StoredPair
  /** The control plane's own programs, where they speak HTTPS. */
  readonly controlPlane: StoredPair
  /** All of the above. */
  readonly certificates: readonly NamedCertificate[]
  /** For a node's agent: user `system:node:<name>` in the group `system:nodes`. */
  issueNodeCert(name: string): Promise<KeyPair>
  /** As `issueNodeCert`, for a key that has never left the node. */
  signNodeRequest(name: string, csrPem: string): Promise<string>
}

const maxAttempts = 5
/** The gateway's certificate names it, so that agents know it by whatever address they dial. */
const gatewayName = 'skiff-gateway'

export async function loadOrCreatePki(dataFolder: string, options: PkiOptions): Promise<Pki> {
  const folder = join(dataFolder, 'pki')
  await privateFolder(folder)
  const clusterAuthority = await Authority.loadOrCreate(folder, 'cluster-ca', options)
  const etcdAuthority = await Authority.loadOrCreate(folder, 'etcd-ca', options)
  const pair = (name: string, authority: Authority, request: CertificateRequest): Promise<StoredPair> =>
    loadOrIssue(join(folder, name), authority, { ...request, ...lifeOf(options) }, options)
  const hosts = servingHosts(options)
  const pairs = {
    etcdServer: await pair('etcd-server', etcdAuthority, {
      commonName: 'etcd',
      usages: ['server', 'client'],
      ...addresses(['localhost', '127.0.0.1', '::1']),
    }),
    etcdClient: await pair('etcd-client', etcdAuthority, { commonName: 'skiff-controlplane', usages: ['client'] }),
    apiserver: await pair('apiserver', clusterAuthority, server('skiff-apiserver', hosts)),
    gateway: await pair('gateway', clusterAuthority, server(gatewayName, [gatewayName, ...hosts])),
    admin: await pair('admin', clusterAuthority, user(adminIdentity.user, 'system:masters')),
    controlPlane: await pair('controlplane', clusterAuthority, user(controlPlaneIdentity.user, 'system:masters')),
  }
  return {
    folder,
    clusterAuthority,
    clusterAuthorityFile: join(folder, 'cluster-ca.crt'),
    etcdAuthority,
    etcdAuthorityFile: join(folder, 'etcd-ca.crt'),
    ...pairs,
    certificates: [
      { name: 'cluster-ca', cert: clusterAuthority.cert },
      { name: 'etcd-ca', cert: etcdAuthority.cert },
      ...Object.values(pairs).map(({ certFile, cert }) => ({ name: basename(certFile, '.crt'), cert })),
    ],
    ...issuing(clusterAuthority, options),
  }
}

/** Only what issues certificates for nodes: the control plane's own, which may be in use, are left alone. */
export async function nodeIssuer(dataFolder: string, options: PkiOptions) {
  const clusterAuthority = await Authority.loadOrCreate(join(dataFolder, 'pki'), 'cluster-ca', options)
  return { clusterAuthority, ...issuing(clusterAuthority, options) }
}

const issuing = (authority: Authority, options: PkiOptions): Pick<Pki, 'issueNodeCert' | 'signNodeRequest'> => ({
  issueNodeCert: async (name) => await authority.issue({ ...nodeRequest(name), ...lifeOf(options) }),
  signNodeRequest: async (name, csrPem) => await authority.issueFor(csrPem, { ...nodeRequest(name), ...lifeOf(options) }),
})

const lifeOf = ({ lifeMs }: PkiOptions): { readonly lifeMs?: number } => (lifeMs === undefined ? {} : { lifeMs })

const server = (commonName: string, hosts: readonly string[]): CertificateRequest => ({
  commonName,
  usages: ['server'],
  ...addresses(hosts),
})

const user = (commonName: string, group: string): CertificateRequest => ({
  commonName,
  organizations: [group],
  usages: ['client'],
})

function nodeRequest(name: string): CertificateRequest {
  if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(name)) throw new Error(`"${name}" cannot be the name of a node`)
  return { commonName: `system:node:${name}`, organizations: ['system:nodes'], usages: ['client'] }
}

function servingHosts({ hosts, serviceIp = '10.43.0.1', clusterDomain = 'cluster.local' }: PkiOptions): readonly string[] {
  const inCluster = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', `kubernetes.default.svc.${clusterDomain}`]
  return ['localhost', '127.0.0.1', '::1', ...inCluster, serviceIp, ...hosts]
}

function addresses(hosts: readonly string[]): { dnsNames: readonly string[]; ips: readonly string[] } {
  const unique = [...new Set(hosts.map((host) => host.toLowerCase()))]
  for (const host of unique) {
    if (isIP(host) === 0 && !/^(\*\.)?[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(host)) {
      throw new Error(`"${host}" is neither a host name nor an address`)
    }
  }
  return { dnsNames: unique.filter((host) => isIP(host) === 0), ips: unique.filter((host) => isIP(host) !== 0) }
}

/** The pair at `path`, issued anew when it is missing, damaged, near its end, of another authority or for other names. */
async function loadOrIssue(
  path: string,
  authority: Authority,
  request: CertificateRequest,
  { clock, log, renewAll = false }: PkiOptions,
): Promise<StoredPair> {
  const certFile = `${path}.crt`
  const keyFile = `${path}.key`
  const cert = await readIfThere(certFile)
  const key = await readIfThere(keyFile)
  const isThere = !renewAll && cert !== undefined && key !== undefined
  if (isThere && isUsable({ cert, key }, { authority, request, nowMs: clock.now() })) {
    await keepPrivate(keyFile, log)
    return { cert, key, certFile, keyFile }
  }
  const fresh = await issueInto({ certFile, keyFile }, authority, request)
  log.info('certificate issued', { file: certFile })
  return fresh
}

/** Another control plane on the same files may write at the same time: whoever is last sees to it that they belong together. */
async function issueInto(
  { certFile, keyFile }: { readonly certFile: string; readonly keyFile: string },
  authority: Authority,
  request: CertificateRequest,
): Promise<StoredPair> {
  for (let attempt = 1; ; attempt++) {
    const fresh = await authority.issue(request)
    await writeWhole(keyFile, fresh.key, 0o600)
    await writeWhole(certFile, fresh.cert, 0o644)
    const cert = await readIfThere(certFile)
    const key = await readIfThere(keyFile)
    const isWhole = cert !== undefined && key !== undefined && belongTogether({ cert, key })
    if (isWhole || attempt === maxAttempts) return { ...fresh, certFile, keyFile }
  }
}

function belongTogether({ cert, key }: KeyPair): boolean {
  return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
}

function isUsable(
  { cert, key }: KeyPair,
  { authority, request, nowMs }: { authority: Authority; request: CertificateRequest; nowMs: number },
): boolean {
  try {
    const parsed = new X509Certificate(cert)
    const isOurs = authority.hasIssued(parsed) && belongTogether({ cert, key })
    return isOurs && nowMs < readCertificate(cert).renewMs && namesOf(parsed) === wantedNames(request)
  } catch {
    return false // Damaged: it is issued again.
  }
}

/** Subject and alternative names in one order, to compare. */
function namesOf(cert: X509Certificate): string {
  const alternative = cert.subjectAltName?.split(', ').map((name) => name.replace(/^DNS:|^IP Address:/, '')) ?? []
  return [...cert.subject.split('\n'), ...alternative.map(canonical)].sort().join('\n')
}

function wantedNames({ commonName, organizations = [], dnsNames = [], ips = [] }: CertificateRequest): string {
  const subject = [`CN=${commonName}`, ...organizations.map((one) => `O=${one}`)]
  return [...subject, ...[...dnsNames, ...ips].map(canonical)].sort().join('\n')
}

/** IPv6 addresses have many spellings; the URL parser knows the one. */
function canonical(host: string): string {
  return isIP(host) === 6 ? new URL(`http://[${host}]`).hostname : host.toLowerCase()
}
