import { badRequest } from '../api/meta/status.ts'
import { readCertificate } from '../lib/certificate.ts'
import { formatTime } from '../lib/clock.ts'
import type { Maintenance } from './apiserver/maintenance.ts'
import type { Gateway } from './gateway/gateway.ts'
import type { Certificates } from './pki/certificates.ts'
import type { RewriteOrder, SecretsRewrite } from './store/secrets-rewrite.ts'

export interface MaintenanceParts {
  readonly certificates: Certificates
  readonly nodes: Pick<Gateway, 'nodeCertificates' | 'renewNodeCertificates'>
  readonly rewrite: SecretsRewrite
  /** Other control planes may stand on the same etcd. */
  readonly isEtcdShared: boolean
}

/** What `ctl certs` and `ctl secrets` ask for. */
export function maintenance({ certificates, nodes, rewrite, isEtcdShared }: MaintenanceParts): Maintenance {
  const list = () => ({ certificates: [...ownCertificates(certificates), ...nodeCertificates(nodes)] })
  return {
    '/skiff/v1/certificates': { get: list },
    '/skiff/v1/certificates/rotate': {
      async post(_body, opts) {
        await certificates.rotate(opts)
        nodes.renewNodeCertificates()
        return list()
      },
    },
    '/skiff/v1/secrets/rewrite': {
      get: () => rewrite.state,
      post(body) {
        const order = parseOrder(body)
        if (order.newKey && isEtcdShared)
          throw badRequest(
            'this etcd is not run by Skiff, so other control planes may use it, which do not know a key that is made here: ' +
              'put the new key first into pki/encryption.json of each of them, and use --no-new-key on each',
          )
        return rewrite.start(order)
      },
    },
  }
}

const ownCertificates = ({ pki }: Certificates) =>
  pki.certificates.map(({ name, cert }) => {
    const { renewMs, endMs } = readCertificate(cert)
    return { name, renews: formatTime(renewMs), ends: formatTime(endMs) }
  })

/** When a node renews its own is up to it. */
const nodeCertificates = ({ nodeCertificates: all }: Pick<Gateway, 'nodeCertificates'>) =>
  all.flatMap(({ node, endMs }) => (endMs === undefined ? [] : [{ name: `node/${node}`, ends: formatTime(endMs) }]))

function parseOrder(body: unknown): RewriteOrder {
  const fields = typeof body === 'object' && body !== null ? (body as Readonly<Record<string, unknown>>) : {}
  const read = (name: keyof RewriteOrder, otherwise: boolean): boolean => {
    const value = fields[name] ?? otherwise
    if (typeof value !== 'boolean') throw badRequest(`${name}: Invalid value: must be true or false`)
    return value
  }
  for (const name of Object.keys(fields)) {
    if (name !== 'newKey' && name !== 'forgetOld') throw badRequest(`${name}: unknown field`)
  }
  return { newKey: read('newKey', true), forgetOld: read('forgetOld', false) }
}
