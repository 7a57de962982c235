import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { etcdStore } from '../../controlplane/store/etcd.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import type { Peer } from './raw-https.ts'

export interface Bare extends Disposable {
  readonly peer: Peer
  readonly pid: number
}

/** The bare server as a process of its own, with the certificates that the API server shows. */
export async function startBare(
  folder: string,
  client: Peer,
  server: { readonly cert: string; readonly key: string },
  answers: Readonly<Record<string, string>>,
): Promise<Bare> {
  const file = join(folder, 'bare.json')
  writeFileSync(file, JSON.stringify({ ca: client.ca, ...server, answers }), { mode: 0o600 })
  const child = fork(resolve(import.meta.dirname, '../api-bare.ts'), [file])
  const port = await new Promise<number>((done, fail) => {
    child.once('message', (told: { port: number }) => done(told.port))
    child.once('exit', (code) => fail(new Error(`the bare server ended with ${code}`)))
  })
  return { peer: { ...client, port }, pid: child.pid ?? 0, [Symbol.dispose]: () => void child.disconnect() }
}

export interface RawEtcd extends Disposable {
  /** A put on condition that the key is absent, which is what a create comes down to. */
  create(key: string, value: string): Promise<void>
  get(key: string): Promise<void>
}

/** The same etcd without an API server before it, asked by the store that the API server uses. */
export function rawEtcd({ host, port, ...tls }: Peer): RawEtcd {
  const store = etcdStore({
    endpoints: [`https://${host}:${port}`],
    tls: { ...tls, serverName: 'localhost' },
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  })
  const { signal } = new AbortController()
  return {
    async create(key, value) {
      const transaction = { conditions: [{ key, modRevision: 0 }], writes: [{ put: key, value: Buffer.from(value) }] }
      if (!(await store.commit(transaction, { signal })).committed) throw new Error(`the key ${key} is there already`)
    },
    async get(key) {
      if ((await store.get(key, { signal })).item === undefined) throw new Error(`the key ${key} is not there`)
    },
    [Symbol.dispose]: () => store.close(),
  }
}
