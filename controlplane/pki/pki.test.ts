import 'reflect-metadata' // @peculiar/x509 needs it first.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parse } from 'yaml'
import { readCertificate } from '../../lib/certificate.ts'
import { FakeClock, systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { dayMs } from './authority.ts'
import { kubeconfig } from './kubeconfig.ts'
import { loadOrCreatePki, type Pki } from './pki.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skiff-pki-'))
})
afterEach(async () => await rm(folder, { recursive: true, force: true }))

const load = (hosts: readonly string[] = ['10.1.2.3', 'Box.example'], clock = new FakeClock(systemClock.now())): Promise<Pki> =>
  loadOrCreatePki(folder, { hosts, clock, log: silentLog })

const certOf = (pair: { cert: string }): X509Certificate => new X509Certificate(pair.cert)

test('keys are private, and a second start changes nothing', async () => {
  const first = await load()
  const files = (await readdir(first.folder)).sort()
  for (const file of files) {
    const { mode } = await stat(join(first.folder, file))
    expect([file, mode & 0o777]).toEqual([file, file.endsWith('.key') ? 0o600 : 0o644])
  }
  expect((await stat(first.folder)).mode & 0o777).toBe(0o700)
  const second = await load()
  expect(second.apiserver).toEqual(first.apiserver)
  expect(second.clusterAuthority.cert).toBe(first.clusterAuthority.cert)
  expect((await readdir(first.folder)).sort()).toEqual(files)
})

test('the server certificate names everything that the API is reached by', async () => {
  const { apiserver, clusterAuthority, etcdAuthority } = await load()
  const cert = certOf(apiserver)
  for (const ip of ['127.0.0.1', '::1', '10.43.0.1', '10.1.2.3']) expect([ip, cert.checkIP(ip)]).toEqual([ip, ip])
  for (const host of ['localhost', 'kubernetes', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local', 'box.example'])
    expect([host, cert.checkHost(host)]).toEqual([host, host])
  expect(cert.checkHost('elsewhere')).toBeUndefined()
  expect(cert.checkIssued(new X509Certificate(clusterAuthority.cert))).toBe(true)
  expect(cert.checkIssued(new X509Certificate(etcdAuthority.cert))).toBe(false)
})

test('only what concerns new hosts or is near its end is issued again', async () => {
  const first = await load()
  const moved = await load(['10.9.9.9'])
  expect(certOf(moved.apiserver).checkIP('10.9.9.9')).toBe('10.9.9.9')
  expect(certOf(moved.apiserver).checkIP('10.1.2.3')).toBeUndefined()
  expect(moved.admin).toEqual(first.admin)
  const later = new FakeClock(systemClock.now() + 310 * dayMs)
  const renewed = await load(['10.9.9.9'], later)
  expect(renewed.admin.cert).not.toBe(first.admin.cert)
  expect(renewed.clusterAuthority.cert).toBe(first.clusterAuthority.cert)
  expect(certOf(renewed.admin).validToDate.getTime()).toBeGreaterThan(later.now() + 300 * dayMs)
})

test.each([10_000, dayMs, 365 * dayMs])(
  'a certificate of %d ms is renewed before two thirds of its life are over',
  async (lifeMs) => {
    // Certificates know whole seconds only.
    const clock = new FakeClock(Math.floor(systemClock.now() / 1000) * 1000)
    const reload = (renewAll = false) => loadOrCreatePki(folder, { hosts: [], clock, log: silentLog, lifeMs, renewAll })
    const first = await reload()
    expect(readCertificate(`${first.admin.key}${first.admin.cert}`)).toMatchObject({ commonName: 'skiff-admin' })
    clock.step(lifeMs / 2)
    expect((await reload()).certificates).toEqual(first.certificates)
    clock.step((lifeMs * 2) / 3 - lifeMs / 2 - 300)
    const second = await reload()
    for (const { name, cert } of second.certificates) {
      const isAuthority = name.endsWith('-ca')
      expect([name, first.certificates.some((one) => one.cert === cert)]).toEqual([name, isAuthority])
    }
    expect((await reload(true)).gateway.cert).not.toBe(second.gateway.cert)
    expect(readCertificate((await second.issueNodeCert('n')).cert).endMs).toBeGreaterThan(clock.now() + lifeMs - 2000)
  },
)

test('the gateway is known by its own name, whatever it is dialled by', async () => {
  const { gateway, apiserver } = await load()
  expect(certOf(gateway).checkHost('skiff-gateway')).toBe('skiff-gateway')
  expect(certOf(apiserver).checkHost('skiff-gateway')).toBeUndefined()
})

test('the authority is renewed from its own key, and old certificates stay good', async () => {
  const first = await load()
  const renewed = await load(['10.1.2.3'], new FakeClock(systemClock.now() + 3_400 * dayMs))
  expect(renewed.clusterAuthority.cert).not.toBe(first.clusterAuthority.cert)
  expect(certOf(first.admin).checkIssued(new X509Certificate(renewed.clusterAuthority.cert))).toBe(true)
  expect(renewed.clusterAuthority.hasIssued(certOf(first.admin))).toBe(true)
  expect(renewed.clusterAuthority.publicKeyHash).toBe(first.clusterAuthority.publicKeyHash)
  expect(first.clusterAuthority.publicKeyHash).toMatch(/^sha256:[0-9a-f]{64}$/)
  expect(first.clusterAuthority.publicKeyHash).not.toBe(first.etcdAuthority.publicKeyHash)
})

test('users and nodes carry their groups', async () => {
  const pki = await load()
  expect(certOf(pki.admin).subject.split('\n').sort()).toEqual(['CN=skiff-admin', 'O=system:masters'])
  const node = certOf(await pki.issueNodeCert('node-1'))
  expect(node.subject.split('\n').sort()).toEqual(['CN=system:node:node-1', 'O=system:nodes'])
  expect(node.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
  await expect(pki.issueNodeCert('a,O=system:masters')).rejects.toThrow(/cannot be the name of a node/)
})

test('a signing request gets a certificate for its key, not for the names it asks for', async () => {
  const pki = await load()
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const csr = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=admin, O=system:masters',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  })
  const cert = new X509Certificate(await pki.signNodeRequest('node-1', csr.toString('pem')))
  expect(cert.subject).not.toContain('masters')
  expect(cert.publicKey.export({ format: 'der', type: 'spki' })).toEqual(
    Buffer.from(await crypto.subtle.exportKey('spki', keys.publicKey)),
  )
  await expect(pki.signNodeRequest('node-1', 'nonsense')).rejects.toThrow()
})

test('what a crash left half done is finished without a new authority', async () => {
  const first = await load()
  const path = (name: string): string => join(first.folder, name)
  await rm(path('cluster-ca.crt'))
  await writeFile(path('etcd-ca.crt'), '-----BEGIN CERTIFICATE-----\nMIIB')
  await writeFile(path('admin.crt'), '')
  await rm(path('apiserver.key'))
  await writeFile(path('.admin.key.0123'), 'half')
  const repaired = await load()
  expect(certOf(first.gateway).checkIssued(new X509Certificate(repaired.clusterAuthority.cert))).toBe(true)
  expect(repaired.gateway).toEqual(first.gateway)
  expect(certOf(repaired.admin).checkIssued(new X509Certificate(repaired.clusterAuthority.cert))).toBe(true)
  expect(repaired.apiserver.key).not.toBe(first.apiserver.key)
  expect(repaired.etcdClient).toEqual(first.etcdClient)
})

test('a lost or damaged authority key is an error and changes nothing', async () => {
  const { folder: files, clusterAuthority } = await load()
  await writeFile(join(files, 'cluster-ca.key'), 'damaged')
  await expect(load()).rejects.toThrow(/cluster-ca.key is damaged/)
  await rm(join(files, 'cluster-ca.key'))
  await expect(load()).rejects.toThrow(/cluster-ca.crt has no key/)
  expect(await readFile(join(files, 'cluster-ca.crt'), 'utf8')).toBe(clusterAuthority.cert)
})

test('a key that others could read is made private again', async () => {
  const { admin } = await load()
  await chmod(admin.keyFile, 0o644)
  await load()
  expect((await stat(admin.keyFile)).mode & 0o777).toBe(0o600)
})

test('several control planes on the same files that renew at once leave pairs that belong together', async () => {
  await load()
  const clock = new FakeClock(systemClock.now() + 300 * dayMs)
  for (const pki of await Promise.all([1, 2, 3, 4].map(() => load(['10.1.2.3'], clock)))) {
    for (const { certFile, keyFile } of [pki.apiserver, pki.gateway, pki.etcdServer, pki.etcdClient, pki.admin]) {
      const cert = new X509Certificate(await readFile(certFile, 'utf8'))
      expect([certFile, cert.checkPrivateKey(createPrivateKey(await readFile(keyFile, 'utf8')))]).toEqual([certFile, true])
    }
  }
})

test('two starts at once agree on one authority', async () => {
  const all = await Promise.all([load(), load(), load()])
  const { clusterAuthority } = await load()
  for (const pki of all) expect(clusterAuthority.hasIssued(certOf(pki.admin))).toBe(true)
})

test('a server that wants certificates lets the admin in, and not a certificate of the other authority', async () => {
  const pki = await load()
  const server = createServer({
    cert: pki.apiserver.cert,
    key: pki.apiserver.key,
    ca: pki.clusterAuthority.cert,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
  })
  server.on('secureConnection', (socket) => socket.end('hello'))
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const visit = (pair: { cert: string; key: string }): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket: TLSSocket = connect({ host: '127.0.0.1', port, ca: pki.clusterAuthority.cert, ...pair })
      socket.on('data', (chunk) => resolve(chunk.toString()))
      socket.on('error', reject)
      socket.on('end', () => reject(new Error('closed')))
    })
  try {
    expect(await visit(pki.admin)).toBe('hello')
    await expect(visit(pki.etcdClient)).rejects.toThrow()
  } finally {
    server.close()
  }
})

test('a kubeconfig holds everything to connect', () => {
  const config = parse(kubeconfig({ server: 'https://h:6443', ca: 'CA', cert: 'CERT', key: 'KEY' }))
  expect(config.clusters[0].cluster).toEqual({ server: 'https://h:6443', 'certificate-authority-data': 'Q0E=' })
  expect(config.contexts[0].context).toEqual({ cluster: 'skiff', user: config.users[0].name })
  expect(config['current-context']).toBe(config.contexts[0].name)
})
