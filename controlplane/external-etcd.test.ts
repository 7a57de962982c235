import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FakeClock, systemClock } from '../lib/clock.ts'
import { type Log, silentLog } from '../lib/log.ts'
import { externalEtcd, followExternalEtcd } from './external-etcd.ts'
import { Authority } from './pki/authority.ts'
import type { EtcdTls } from './store/grpc-unary.ts'

let folder = ''
const at = (name: string): string => join(folder, name)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skiff-external-'))
  const authority = await Authority.loadOrCreate(folder, 'ca', { clock: systemClock, log: silentLog })
  for (const name of ['client', 'other']) {
    const { cert, key } = await authority.issue({ commonName: name, usages: ['client'] })
    await writeFile(at(`${name}.crt`), cert)
    await writeFile(at(`${name}.key`), key)
  }
  await writeFile(at('text'), 'no certificate')
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

const none = { etcdCa: '', etcdCert: '', etcdKey: '' }
const secure = ['https://10.0.0.1:2379', 'https://etcd-2.example.com:2379']
const files = () => ({ etcdCa: at('ca.crt'), etcdCert: at('client.crt'), etcdKey: at('client.key') })

test('endpoints come with what their TLS needs', async () => {
  expect(await externalEtcd({ etcdEndpoints: secure, ...none })).toEqual({ endpoints: secure })
  const { tls } = await externalEtcd({ etcdEndpoints: secure, ...files() })
  expect([tls?.ca, tls?.cert, tls?.key].map((text) => text?.split('\n')[0])).toEqual([
    '-----BEGIN CERTIFICATE-----',
    '-----BEGIN CERTIFICATE-----',
    '-----BEGIN PRIVATE KEY-----',
  ])
})

test.each<[string, () => Parameters<typeof externalEtcd>[0], RegExp]>([
  ['no URL', () => ({ etcdEndpoints: ['10.0.0.1:2379'], ...none }), /--etcd-endpoints: "10.0.0.1:2379" is not of the form/],
  ['a path', () => ({ etcdEndpoints: ['https://a:1/x'], ...none }), /--etcd-endpoints: "https:\/\/a:1\/x" is not of the form/],
  ['a mixture', () => ({ etcdEndpoints: ['https://a:1', 'http://b:1'], ...none }), /--etcd-endpoints: either all/],
  ['http with certificates', () => ({ etcdEndpoints: ['http://a:1'], ...files() }), /--etcd-endpoints: certificates are given/],
  ['a missing authority', () => ({ etcdEndpoints: secure, ...files(), etcdCa: '' }), /--etcd-ca is required/],
  ['a missing key', () => ({ etcdEndpoints: secure, ...files(), etcdKey: '' }), /--etcd-cert and --etcd-key belong together/],
  ['no such file', () => ({ etcdEndpoints: secure, ...files(), etcdCa: at('nothing') }), /--etcd-ca: cannot read ".*nothing"/],
  ['no certificate', () => ({ etcdEndpoints: secure, ...files(), etcdCert: at('text') }), /--etcd-cert: ".*text" holds no cert/],
  ['a key of another', () => ({ etcdEndpoints: secure, ...files(), etcdKey: at('other.key') }), /--etcd-key: ".*" is no key of/],
])('%s is refused by the name of its flag', async (_what, options, message) => {
  await expect(externalEtcd(options())).rejects.toThrow(message)
})

test('certificates that are put into the files are taken up, and damaged ones change nothing', async () => {
  const clock = new FakeClock()
  const options = { etcdEndpoints: secure, etcdCa: at('ca.crt'), etcdCert: at('new.crt'), etcdKey: at('new.key') }
  const put = async (from: string): Promise<void> => {
    for (const kind of ['crt', 'key']) await copyFile(at(`${from}.${kind}`), at(`new.${kind}`))
  }
  await put('client')
  const shown: (string | undefined)[] = []
  const log: Log = { ...silentLog, error: () => void shown.push('error') }
  const stop = new AbortController()
  const store = { setTls: ({ cert }: EtcdTls) => void shown.push(cert) }
  const running = followExternalEtcd(options, { store, clock, log })
    .run(stop.signal)
    .catch(() => undefined)
  const look = async (): Promise<void> => {
    await expect.poll(() => clock.nextTimerAt).toBeDefined()
    clock.step(600_000)
    await expect.poll(() => clock.nextTimerAt).toBeDefined()
  }
  await look()
  expect(shown).toEqual([])
  await writeFile(at('new.crt'), 'damaged')
  await look()
  expect(shown).toEqual(['error'])
  await put('other')
  await look()
  expect(shown).toEqual(['error', await readFile(at('other.crt'), 'utf8')])
  stop.abort()
  await running
})
