import { stringify } from 'yaml'
import { adminIdentity } from '../../api/meta/request.ts'

export interface KubeconfigOptions {
  /** As in `https://10.0.0.1:6443`. */
  readonly server: string
  /** PEM texts. */
  readonly ca: string
  readonly cert: string
  readonly key: string
  readonly user?: string
}

/** A kubeconfig with everything inside, for `ctl` and `kubectl`. It holds a key: write it with mode 0600. */
export function kubeconfig({ server, ca, cert, key, user = adminIdentity.user }: KubeconfigOptions): string {
  const base64 = (pem: string): string => Buffer.from(pem).toString('base64')
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'skiff', cluster: { server, 'certificate-authority-data': base64(ca) } }],
      users: [{ name: user, user: { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) } }],
      contexts: [{ name: 'skiff', context: { cluster: 'skiff', user } }],
      'current-context': 'skiff',
    },
    { lineWidth: 0 },
  )
}
