import { Node } from '../../api/kinds/node.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { ApiResponse } from '../../api/meta/request.ts'
import { badRequest, conflict, invalid, invalidObject, required } from '../../api/meta/status.ts'
import { isObject } from '../../api/patch/json.ts'
import { formatTime } from '../../lib/clock.ts'
import { answer, type Call, type Deps, placeOf, success } from './call.ts'
import { changeObject, type Place } from './commit.ts'

/** `pods/binding`: the scheduler's decision, once for each pod. */
export async function bind(deps: Deps, call: Call): Promise<ApiResponse> {
  const place = placeOf(call)
  const { node, uid } = readBinding(place, call.request.body)
  const outcome = await changeObject(
    deps,
    place,
    (current) => {
      // The kind with this subresource is Pod.
      const pod = current as Pod
      checkBindable(deps, place, { pod, node, uid })
      return { object: bound(pod, node, formatTime(deps.clock.now())) }
    },
    call.opts,
  )
  return answer(success(place, outcome.object), { code: 201 })
}

const bindingName = { group: '', plural: 'bindings', kind: 'Binding' }

function readBinding({ name }: Place, body: unknown): { readonly node: string; readonly uid: string | undefined } {
  if (!isObject(body)) throw badRequest('the body is no Binding')
  const { target, metadata, kind = 'Binding' } = body
  if (kind !== 'Binding') throw badRequest(`kind: ${JSON.stringify(kind)?.slice(0, 100)}, expected "Binding"`)
  const meta = isObject(metadata) ? metadata : {}
  if (meta['name'] !== undefined && meta['name'] !== name) {
    throw badRequest(
      `the name of the object (${JSON.stringify(meta['name'])?.slice(0, 300)}) does not match the name on the URL (${name})`,
    )
  }
  if (!isObject(target) || typeof target['name'] !== 'string' || target['name'] === '') {
    throw invalidObject(bindingName, name, [required('target.name', 'the node to run on')])
  }
  if (target['kind'] !== undefined && target['kind'] !== '' && target['kind'] !== 'Node') {
    throw invalidObject(bindingName, name, [invalid('target.kind', target['kind'], 'must be Node')])
  }
  return { node: target['name'], uid: typeof meta['uid'] === 'string' ? meta['uid'] : undefined }
}

function checkBindable(
  { cache }: Deps,
  { kind, name }: Place,
  { pod, node, uid }: { pod: Pod; node: string; uid: string | undefined },
): void {
  if (uid !== undefined && uid !== pod.metadata.uid)
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`)
  if (pod.metadata.deletionTimestamp !== undefined)
    throw conflict(kind, name, `pod ${name} is being deleted, cannot be assigned to a host`)
  const { nodeName = '' } = pod.spec
  if (nodeName !== '') throw conflict(kind, name, `pod ${name} is already assigned to node "${nodeName}"`)
  if (cache.get(Node, node) === undefined)
    throw invalidObject(bindingName, name, [invalid('target.name', node, 'there is no such node')])
}

function bound(pod: Pod, node: string, now: string): ApiObject {
  const conditions = (pod.status?.conditions ?? []).filter(({ type }) => type !== 'PodScheduled')
  const scheduled = { type: 'PodScheduled', status: 'True' as const, lastTransitionTime: now }
  const next: Pod = {
    ...pod,
    spec: { ...pod.spec, nodeName: node },
    status: { ...pod.status, conditions: [...conditions, scheduled] },
  }
  return next
}
