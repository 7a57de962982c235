import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { noop } from 'cockatiel'
import { Etcd3 } from 'etcd3'
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

/** The same etcd without an API server before it. */
export function rawEtcd({ host, port, ca, cert, key }: Peer): RawEtcd {
  const pem = (text: string): Buffer => Buffer.from(text)
  const client = new Etcd3({
    hosts: `https://${host}:${port}`,
    credentials: { rootCertificate: pem(ca), certChain: pem(cert), privateKey: pem(key) },
    faultHandling: { global: noop, host: () => noop },
    grpcOptions: { 'grpc.ssl_target_name_override': 'localhost' },
  })
  return {
    async create(name, value) {
      const { succeeded } = await client.if(name, 'Mod', '==', 0).then(client.put(name).value(value)).commit()
      if (!succeeded) throw new Error(`the key ${name} is there already`)
    },
    async get(name) {
      if ((await client.get(name).buffer()) === null) throw new Error(`the key ${name} is not there`)
    },
    [Symbol.dispose]: () => client.close(),
  }
}
