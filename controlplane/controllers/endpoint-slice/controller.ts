import { EndpointSlice } from '../../../api/kinds/endpoint-slice.ts'
import { Pod } from '../../../api/kinds/pod.ts'
import { Service } from '../../../api/kinds/service.ts'
import { type ApiObject, keyOf } from '../../../api/meta/object-meta.ts'
import { equalitySelector } from '../../../api/meta/selector.ts'
import { isNotFound } from '../../../api/meta/status.ts'
import { type ControllerDef, defineController, watches } from '../../../client/controller.ts'
import type { BuildDeps } from '../shared/deps.ts'
import { managedBy, managedByLabel, planSlices, serviceLabel } from './plan.ts'

const byService = 'service'

/** Says which pods stand behind each service with a selector. */
export function endpointSliceController({ informers }: BuildDeps): ControllerDef {
  const services = informers.for(Service)
  const pods = informers.for(Pod)
  const slices = informers.for(EndpointSlice)
  slices.addIndex(byService, serviceKeys)

  return defineController({
    name: 'endpoint-slice',
    for: Service,
    watches: [
      watches(Pod, (pod) =>
        services
          .list(pod.metadata.namespace)
          .filter((one) => equalitySelector(one.spec.selector)(pod.metadata.labels))
          .map(keyOf),
      ),
      watches(EndpointSlice, serviceKeys),
    ],
    writes: ['endpointslices'],
    workers: 5,
    async reconcile(key, { client, signal }) {
      const service = services.get(key)
      const own = slices.byIndex(byService, key)
      const { selector = {} } = service?.spec ?? {}
      const isOurs = service !== undefined && Object.keys(selector).length > 0 && service.spec.type !== 'ExternalName'
      const matches = equalitySelector(selector)
      const plan =
        isOurs && service.metadata.deletionTimestamp === undefined
          ? planSlices({
              service,
              pods: pods.list(service.metadata.namespace).filter((pod) => matches(pod.metadata.labels)),
              slices: own,
            })
          : { create: [], update: [], delete: own }
      for (const slice of plan.create) await client.create(EndpointSlice, slice, { signal })
      for (const slice of plan.update) await client.update(EndpointSlice, slice, { signal })
      for (const { metadata } of plan.delete) {
        const { namespace = '', name = '', uid = '' } = metadata
        await client.delete(EndpointSlice, { namespace, name }, { signal, preconditions: { uid } }).catch((err: unknown) => {
          if (!isNotFound(err)) throw err
        })
      }
      return undefined
    },
  })
}

/** Slices that people make for a service stay theirs. */
function serviceKeys({ metadata }: ApiObject): readonly string[] {
  const name = metadata.labels?.[serviceLabel]
  if (name === undefined || metadata.labels?.[managedByLabel] !== managedBy) return []
  return [`${metadata.namespace ?? ''}/${name}`]
}
