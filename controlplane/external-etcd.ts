import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { sleep } from '../lib/async.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { OptionError } from '../lib/options.ts'
import type { Service } from '../lib/service.ts'
import type { Options } from './options.ts'
import type { EtcdTls } from './store/grpc-unary.ts'

export interface ExternalEtcd {
  readonly endpoints: readonly string[]
  readonly tls?: EtcdTls
}

/** An etcd that somebody else runs, as the options describe it. Throws OptionError that names the flag. */
export async function externalEtcd(
  options: Pick<Options, 'etcdEndpoints' | 'etcdCa' | 'etcdCert' | 'etcdKey'>,
): Promise<ExternalEtcd> {
  const { etcdEndpoints: endpoints, etcdCa, etcdCert, etcdKey } = options
  const isTls = checkEndpoints(endpoints)
  const given = [etcdCa, etcdCert, etcdKey].some((file) => file !== '')
  if (!isTls && given) throw new OptionError('--etcd-endpoints: certificates are given, but the endpoints begin with http://')
  if (!given) return { endpoints }
  if (etcdCa === '') throw new OptionError('--etcd-ca is required together with --etcd-cert and --etcd-key')
  if ((etcdCert === '') !== (etcdKey === '')) throw new OptionError('--etcd-cert and --etcd-key belong together: one is missing')
  const ca = await readPem('--etcd-ca', etcdCa)
  if (etcdCert === '') return { endpoints, tls: { ca } }
  const cert = await readPem('--etcd-cert', etcdCert)
  const key = await readText('--etcd-key', etcdKey)
  try {
    createSecureContext({ cert, key })
  } catch (err) {
    throw new OptionError(`--etcd-key: "${etcdKey}" is no key of the certificate "${etcdCert}"`, { cause: err })
  }
  return { endpoints, tls: { ca, cert, key } }
}

/** Files that somebody replaces are read again this often. */
const lookEveryMs = 600_000

/** Shows certificates that were put into the files anew. What cannot be used is logged, and the ones before stay. */
export function followExternalEtcd(
  options: Parameters<typeof externalEtcd>[0],
  { store, clock, log }: { store: { setTls(tls: EtcdTls): void }; clock: Clock; log: Log },
): Service {
  return {
    name: 'certificates of etcd',
    async run(signal) {
      let shown = await externalEtcd(options)
      for (;;) {
        await sleep(clock, lookEveryMs, signal)
        try {
          const now = await externalEtcd(options)
          if (now.tls === undefined || JSON.stringify(now.tls) === JSON.stringify(shown.tls)) continue
          store.setTls(now.tls)
          shown = now
          log.info('new certificates for etcd are in use')
        } catch (err) {
          log.error('the certificates for etcd cannot be used', { err })
        }
      }
    },
  }
}

/** Whether they are reached by TLS: all or none. */
function checkEndpoints(endpoints: readonly string[]): boolean {
  for (const one of endpoints) {
    if (!/^https?:\/\/([\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/.test(one))
      throw new OptionError(`--etcd-endpoints: "${one}" is not of the form https://host:2379`)
  }
  const secure = endpoints.filter((one) => one.startsWith('https:'))
  if (secure.length > 0 && secure.length < endpoints.length)
    throw new OptionError('--etcd-endpoints: either all of them begin with https:// or none does')
  return secure.length > 0
}

async function readText(flag: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (err) {
    throw new OptionError(`${flag}: cannot read "${file}": ${err instanceof Error ? err.message : String(err)}`, { cause: err })
  }
}

async function readPem(flag: string, file: string): Promise<string> {
  const text = await readText(flag, file)
  try {
    new X509Certificate(text)
  } catch (err) {
    throw new OptionError(`${flag}: "${file}" holds no certificate in PEM form`, { cause: err })
  }
  return text
}
