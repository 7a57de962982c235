import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { must } from '../../lib/assert.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import { etcdProcess } from '../etcd-process/etcd-process.ts'
import { storeConformance } from '../store/conformance.ts'
import { encrypted } from '../store/encryption.ts'
import { type EtcdStore, etcdStore } from '../store/etcd.ts'
import { newKeyring } from '../store/keyring.ts'
import { etcdBinary, freePort } from './etcd.ts'
import { testEtcdFiles } from './etcd-files.ts'

// The store as the control plane uses it: our etcd process, our certificates, encryption.
const stop = new AbortController()
const common = { clock: systemClock, random: systemRandom, log: silentLog }
let folder = ''
let endpoints: readonly string[] = []
let ended: Promise<unknown> | undefined
let store: EtcdStore | undefined

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skiff-tls-'))
  const { files, client } = await testEtcdFiles(folder)
  const ports = { clientPort: await freePort(), peerPort: await freePort() }
  const etcd = etcdProcess({
    binary: etcdBinary,
    dataFolder: folder,
    ...ports,
    files,
    client,
    clock: systemClock,
    log: silentLog,
  })
  ended = etcd.run(stop.signal)
  endpoints = etcd.endpoints
  await etcd.waitReady({ signal: AbortSignal.timeout(30_000) })
  store = etcdStore({ endpoints, tls: client, ...common })
})
afterAll(async () => {
  store?.close()
  stop.abort(new Error('the tests are over'))
  await ended
  await rm(folder, { recursive: true, force: true })
})

const keyring = newKeyring(systemRandom)
storeConformance('etcd with TLS and encryption', () =>
  encrypted(must(store, 'it was started before'), { keyring, log: silentLog, isSecret: () => true }),
)

test.each(['without a certificate', 'with a certificate of another authority'])('a client %s is refused', async (how) => {
  const { client, foreign } = await testEtcdFiles(folder)
  const { ca, serverName } = client
  const tls = how === 'without a certificate' ? { ca, serverName } : { ca, serverName, ...foreign }
  const stranger = etcdStore({ endpoints, tls, ...common, callMs: 1_000 })
  try {
    const { signal } = new AbortController()
    await expect(stranger.get('/skiff/objects/x', { signal })).rejects.toMatchObject({ status: { code: 503 } })
  } finally {
    stranger.close()
  }
})
