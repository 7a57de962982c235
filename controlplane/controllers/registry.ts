import type { ControllerDef } from '../../client/controller.ts'
import { deploymentController } from './deployment/controller.ts'
import { endpointSliceController } from './endpoint-slice/controller.ts'
import { eventTtlController } from './event-ttl/controller.ts'
import { garbageCollectorController } from './garbage-collector/controller.ts'
import { namespaceController } from './namespace/controller.ts'
import { type NodeLifecycleOptions, nodeLifecycleController } from './node-lifecycle/controller.ts'
import { podGcController } from './pod-gc/controller.ts'
import { replicaSetController } from './replicaset/controller.ts'
import { serviceAccountController } from './service-account/controller.ts'
import type { BuildDeps } from './shared/deps.ts'

/**
 * The one list of controllers. Call it before the informers are run, and give the result to `controllerServices`; the
 * services run on the leader only.
 */
export function controllers(deps: BuildDeps, options: NodeLifecycleOptions): readonly ControllerDef[] {
  return [
    replicaSetController(deps),
    deploymentController(deps),
    endpointSliceController(deps),
    garbageCollectorController(deps),
    namespaceController(deps),
    nodeLifecycleController(deps, options),
    podGcController(deps),
    serviceAccountController(deps),
    eventTtlController(deps),
  ]
}
