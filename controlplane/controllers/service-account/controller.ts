import { Namespace } from '../../../api/kinds/namespace.ts'
import { ServiceAccount } from '../../../api/kinds/service-account.ts'
import { isAlreadyExists, isForbidden, isNotFound } from '../../../api/meta/status.ts'
import { type ControllerDef, defineController, watches } from '../../../client/controller.ts'
import type { BuildDeps } from '../shared/deps.ts'

/** Each namespace has the account `default`, which pods get that name none. */
export function serviceAccountController({ informers }: BuildDeps): ControllerDef {
  const namespaces = informers.for(Namespace)
  const accounts = informers.for(ServiceAccount)
  return defineController({
    name: 'service-account',
    for: Namespace,
    watches: [watches(ServiceAccount, ({ metadata }) => (metadata.name === 'default' ? [metadata.namespace ?? ''] : []))],
    writes: ['serviceaccounts'],
    workers: 2,
    async reconcile(key, { client, signal }) {
      const namespace = namespaces.get(key)
      if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) return undefined
      if (accounts.get(`${key}/default`) !== undefined) return undefined
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: key, name: 'default' } }
      try {
        await client.create(ServiceAccount, account, { signal })
      } catch (err) {
        // The namespace has gone, or is going, meanwhile; or somebody else made the account.
        if (!isAlreadyExists(err) && !isForbidden(err) && !isNotFound(err)) throw err
      }
      return undefined
    },
  })
}
