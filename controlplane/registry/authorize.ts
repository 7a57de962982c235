import { configMapKey, secretKey, usedConfigs } from '../../api/derive/used-configs.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import { Pod } from '../../api/kinds/pod.ts'
import type { ApiRequest, Identity } from '../../api/meta/request.ts'
import { forbidden, qualified, type StatusError } from '../../api/meta/status.ts'
import { isObject } from '../../api/patch/json.ts'
import type { WatchCache } from '../store/watch-cache.ts'

/** What is asked for, as far as it matters for whether it may be done. */
export interface Attributes {
  readonly verb: ApiRequest['verb'] | 'watch'
  readonly kind: Pick<KindDef, 'group' | 'plural' | 'kind'>
  readonly namespace?: string | undefined
  readonly name?: string | undefined
  readonly subresource?: string | undefined
  readonly fieldSelector?: string | undefined
  readonly body?: unknown
}

/** `reason` absent: nobody allowed it. */
export type Decision = { readonly allowed: true } | { readonly allowed: false; readonly reason?: string }

const yes: Decision = { allowed: true }
const no = (reason?: string): Decision => (reason === undefined ? { allowed: false } : { allowed: false, reason })

const nodePrefix = 'system:node:'
const leaseNamespace = 'kube-node-lease'

/** Whether `identity` may do it. Masters may do everything, a node what concerns itself and its pods, others nothing. */
export function authorize(cache: WatchCache, identity: Identity, asked: Attributes): Decision {
  if (identity.groups.includes('system:masters')) return yes
  if (!identity.groups.includes('system:nodes') || !identity.user.startsWith(nodePrefix)) return no()
  return nodeMay(cache, identity.user.slice(nodePrefix.length), asked)
}

type Rule = (node: string, asked: Attributes, cache: WatchCache) => Decision

const isRead = ({ verb }: Attributes): boolean => verb === 'get' || verb === 'list' || verb === 'watch'
const reads: Rule = (_node, asked) => (isRead(asked) ? yes : no())

const rules: Readonly<Record<string, Rule>> = {
  nodes: ownNode,
  'leases.coordination.k8s.io': ownLease,
  pods: ownPod,
  configmaps: usedConfig,
  secrets: usedConfig,
  events: (_node, { verb }) => (verb === 'create' || verb === 'update' || verb === 'patch' ? yes : no()),
  services: reads,
  'endpointslices.discovery.k8s.io': reads,
}

function nodeMay(cache: WatchCache, node: string, asked: Attributes): Decision {
  const resource = qualified(asked.kind)
  const rule = Object.hasOwn(rules, resource) ? rules[resource] : undefined
  return rule === undefined ? no() : rule(node, asked, cache)
}

function nameOf({ name, body }: Attributes): string | undefined {
  if (name !== undefined) return name
  const meta = isObject(body) ? body['metadata'] : undefined
  const given = isObject(meta) ? meta['name'] : undefined
  return typeof given === 'string' ? given : undefined
}

function ownNode(node: string, asked: Attributes): Decision {
  if (isRead(asked)) return yes
  if (asked.verb === 'delete' || asked.verb === 'deletecollection') return no(`node "${node}" cannot delete nodes`)
  return nameOf(asked) === node ? yes : no(`node "${node}" is not allowed to modify node "${nameOf(asked) ?? ''}"`)
}

function ownLease(node: string, asked: Attributes): Decision {
  if (asked.namespace !== leaseNamespace) return no(`can only access leases in the "${leaseNamespace}" system namespace`)
  if (asked.verb === 'list' || asked.verb === 'watch' || asked.verb === 'deletecollection') return no()
  return nameOf(asked) === node ? yes : no('can only access node lease with the same name as the requesting node')
}

function ownPod(node: string, asked: Attributes, cache: WatchCache): Decision {
  const { verb, name, namespace, subresource, fieldSelector = '' } = asked
  if (verb === 'list' || verb === 'watch') {
    return fieldSelector.split(',').some((one) => one.replace('==', '=') === `spec.nodeName=${node}`)
      ? yes
      : no('can only list or watch pods with the field selector spec.nodeName of the own node')
  }
  const mayWrite =
    (subresource === 'status' && (verb === 'update' || verb === 'patch')) || (subresource === undefined && verb === 'delete')
  if (verb !== 'get' && !mayWrite) return no()
  const pod = name === undefined || namespace === undefined ? undefined : cache.get(Pod, `${namespace}/${name}`)
  return pod?.spec.nodeName === node ? yes : no(`node "${node}" can only act on pods that are bound to it`)
}

function usedConfig(node: string, { verb, kind, name, namespace }: Attributes, cache: WatchCache): Decision {
  if (verb !== 'get' || name === undefined || namespace === undefined)
    return no('a node can only read single objects that its pods use')
  const key = kind.plural === 'secrets' ? secretKey(namespace, name) : configMapKey(namespace, name)
  const isUsed = cache.list(Pod, namespace).some((pod) => pod.spec.nodeName === node && usedConfigs(pod).includes(key))
  return isUsed ? yes : no(`no relationship found between node '${node}' and this object`)
}

/** 403 in Kubernetes' words. */
export function denied(identity: Identity, asked: Attributes, reason: string | undefined): StatusError {
  const { verb, kind, namespace, name = '', subresource } = asked
  const resource = subresource === undefined ? kind.plural : `${kind.plural}/${subresource}`
  const where = namespace === undefined ? ' at the cluster scope' : ` in the namespace "${namespace}"`
  const why = reason === undefined ? '' : `: ${reason}`
  return forbidden(
    kind,
    name,
    `User "${identity.user}" cannot ${verb} resource "${resource}" in API group "${kind.group}"${where}${why}`,
  )
}
