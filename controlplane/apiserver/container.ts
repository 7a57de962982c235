import { Pod } from '../../api/kinds/pod.ts'
import { adminIdentity, controlPlaneIdentity, type Identity } from '../../api/meta/request.ts'
import { badRequest } from '../../api/meta/status.ts'
import type { ContainerRef, PodStreams } from '../../api/meta/streams.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { denied } from '../registry/authorize.ts'
import type { Registry } from '../registry/options.ts'
import type { ApiServerOptions } from './options.ts'

const defaultContainer = 'kubectl.kubernetes.io/default-container'

/** Whose streams a request is carried by: so that two control planes never send each other the same one in turn. */
export const streamsFor = ({ user }: Identity, { streams, ownStreams = streams }: ApiServerStreams): PodStreams =>
  user === controlPlaneIdentity.user ? ownStreams : streams

type ApiServerStreams = Pick<ApiServerOptions, 'streams' | 'ownStreams'>

/** The container that logs or exec are about. Throws what is wrong with the question, Forbidden before anything is told. */
export async function containerRef(
  registry: Registry,
  identity: Identity,
  {
    namespace,
    name,
    subresource,
    container,
  }: { namespace: string; name: string; subresource: 'log' | 'exec'; container: string },
  opts: AbortOptions,
): Promise<ContainerRef> {
  const asked = { verb: subresource === 'log' ? 'get' : 'create', kind: Pod, namespace, name, subresource } as const
  const decision = registry.decide(identity, asked)
  if (!decision.allowed) throw denied(identity, asked, decision.reason)
  const { body } = await registry.request(adminIdentity, { verb: 'get', kind: Pod, namespace, name }, opts)
  // The registry answers a get with the object.
  const pod = body as Pod
  const { nodeName = '' } = pod.spec
  const chosen = chooseContainer(pod, container)
  if (nodeName === '') throw badRequest(`pod "${name}" is not assigned to a node yet`)
  return { namespace, pod: name, uid: pod.metadata.uid ?? '', node: nodeName, container: chosen }
}

function chooseContainer({ metadata, spec }: Pod, asked: string): string {
  const inits = (spec.initContainers ?? []).map(({ name }) => name)
  const names = spec.containers.map(({ name }) => name)
  if (asked !== '') {
    if ([...names, ...inits].includes(asked)) return asked
    throw badRequest(`container ${asked} is not valid for pod ${metadata.name}`)
  }
  const preferred = metadata.annotations?.[defaultContainer]
  if (preferred !== undefined && names.includes(preferred)) return preferred
  const [only] = names
  if (names.length === 1 && only !== undefined) return only
  const among = inits.length === 0 ? '' : ` or one of the init containers: [${inits.join(' ')}]`
  throw badRequest(`a container name must be specified for pod ${metadata.name}, choose one of: [${names.join(' ')}]${among}`)
}
