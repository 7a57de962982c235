import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { loadOrCreatePki } from '../pki/pki.ts'

/** The certificates of `dataFolder` in the form that an etcd process takes them, and a pair that it must refuse. */
export async function testEtcdFiles(dataFolder: string) {
  const pki = await loadOrCreatePki(dataFolder, { hosts: [], clock: systemClock, log: silentLog })
  const { certFile, keyFile } = pki.etcdServer
  return {
    files: { authorityFile: pki.etcdAuthorityFile, certFile, keyFile },
    client: { ca: pki.etcdAuthority.cert, cert: pki.etcdClient.cert, key: pki.etcdClient.key, serverName: 'localhost' },
    foreign: { cert: pki.admin.cert, key: pki.admin.key },
  }
}
