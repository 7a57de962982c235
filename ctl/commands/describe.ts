import { stringify } from 'yaml'
import { age } from '../../api/kinds/columns.ts'
import type { ConfigMap } from '../../api/kinds/config-map.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import type { Deployment } from '../../api/kinds/deployment.ts'
import { EndpointSlice } from '../../api/kinds/endpoint-slice.ts'
import { Event } from '../../api/kinds/event.ts'
import { Lease } from '../../api/kinds/lease.ts'
import type { Namespace } from '../../api/kinds/namespace.ts'
import type { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { ReplicaSet } from '../../api/kinds/replica-set.ts'
import type { Secret } from '../../api/kinds/secret.ts'
import type { Service } from '../../api/kinds/service.ts'
import { type ApiObject, controllerOf } from '../../api/meta/object-meta.ts'
import { formatLabelSelector } from '../../api/meta/selector.ts'
import { type Context, defineCommand } from '../command.ts'
import { describeNode } from '../describe/node.ts'
import {
  describeConfigMap,
  describeDeployment,
  describeHead,
  describeNamespace,
  describeReplicaSet,
  describeSecret,
  describeService,
} from '../describe/others.ts'
import { describePod } from '../describe/pod.ts'
import { DescribeWriter } from '../describe/writer.ts'
import { text, toggle } from '../flags.ts'
import { getTarget, listAll, type Query } from '../get-objects.ts'
import { parseTargets } from '../resources.ts'

export const describe = defineCommand({
  name: 'describe',
  summary: 'Show everything about resources, and what happened to them',
  args: '(TYPE [NAME ...] | TYPE/NAME ...)',
  flags: {
    selector: text({ short: 'l', help: 'Those that match a label selector' }),
    allNamespaces: toggle({ short: 'A', help: 'In all namespaces' }),
  },
  examples: ['ctl describe pod web-1', 'ctl describe nodes'],
  async run({ args, flags }, context) {
    const { client, namespace } = context.connect()
    const query: Query = {
      client,
      signal: context.signal,
      namespace: flags.allNamespaces ? undefined : namespace,
      labelSelector: flags.selector,
      fieldSelector: undefined,
    }
    let count = 0
    for (const target of parseTargets(args)) {
      for (const object of await getTarget(target, query)) {
        if (count++ > 0) context.out.write('\n\n')
        context.out.write(await describeObject(target.kind, object, query, context))
      }
    }
    if (count === 0)
      context.out.note(flags.allNamespaces ? 'No resources found' : `No resources found in ${namespace} namespace.`)
    return 0
  },
})

async function describeObject(kind: KindDef, object: ApiObject, query: Query, context: Context): Promise<string> {
  const w = new DescribeWriter()
  await describeBody(kind, object, { ...query, labelSelector: undefined }, w, context)
  await describeEvents(object, query, w, context.clock.now())
  return w.toString()
}

async function describeBody(
  kind: KindDef,
  object: ApiObject,
  query: Query,
  w: DescribeWriter,
  { clock }: Context,
): Promise<void> {
  const here = { ...query, namespace: object.metadata.namespace }
  switch (kind.kind) {
    case 'Pod':
      return describePod(object as Pod, w)
    case 'Deployment':
      return describeDeployment(object as Deployment, await owned<ReplicaSet>(ReplicaSet, object as Deployment, here), w)
    case 'ReplicaSet':
      return describeReplicaSet(object as ReplicaSet, await owned<Pod>(Pod, object as ReplicaSet, here), w)
    case 'Namespace':
      return describeNamespace(object as Namespace, w)
    case 'ConfigMap':
      return describeConfigMap(object as ConfigMap, w)
    case 'Secret':
      return describeSecret(object as Secret, w)
    case 'Node': {
      const name = object.metadata.name ?? ''
      const pods = await listAll(Pod, { ...query, namespace: undefined, fieldSelector: `spec.nodeName=${name}` })
      const leases = await listAll(Lease, { ...query, namespace: 'kube-node-lease', fieldSelector: `metadata.name=${name}` })
      const [lease] = leases.items as readonly Lease[]
      return describeNode(object as Node, { pods: pods.items as readonly Pod[], lease, nowMs: clock.now() }, w)
    }
    case 'Service': {
      const labelSelector = `kubernetes.io/service-name=${object.metadata.name}`
      const slices = await listAll(EndpointSlice, { ...here, labelSelector })
      return describeService(object as Service, (slices.items as readonly EndpointSlice[]).flatMap(addresses), w)
    }
    default:
      describeHead(object, kind.scope === 'Namespaced', w)
      describeOther(object, w)
  }
}

/** What an owner made. */
async function owned<T extends ApiObject>(
  kind: KindDef,
  owner: ApiObject & { readonly spec: { readonly selector: Deployment['spec']['selector'] } },
  query: Query,
): Promise<readonly T[]> {
  const { items } = await listAll(kind, { ...query, labelSelector: formatLabelSelector(owner.spec.selector) })
  return (items as readonly ApiObject[] as readonly T[]).filter((item) => controllerOf(item)?.uid === owner.metadata.uid)
}

function addresses({ endpoints, ports }: EndpointSlice): readonly string[] {
  const ready = (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false)
  return ready.flatMap((endpoint) => endpoint.addresses.flatMap((ip) => (ports ?? []).map(({ port }) => `${ip}:${port}`)))
}

/** What has no words of its own is shown as it is. */
function describeOther(object: ApiObject, w: DescribeWriter): void {
  const { apiVersion: _, kind: __, metadata, ...body } = object
  w.field('CreationTimestamp', metadata.creationTimestamp)
  for (const line of stringify(body, { aliasDuplicateObjects: false }).trimEnd().split('\n')) w.line(line)
}

async function describeEvents(object: ApiObject, { client, signal }: Query, w: DescribeWriter, nowMs: number): Promise<void> {
  const { namespace = 'default', uid = '' } = object.metadata
  const query: Query = { client, signal, namespace, labelSelector: undefined, fieldSelector: `involvedObject.uid=${uid}` }
  const events = (await listAll(Event, query)).items as readonly Event[]
  if (events.length === 0) return w.field('Events', '<none>')
  const rows = events
    .toSorted((a, b) => ((a.lastTimestamp ?? '') < (b.lastTimestamp ?? '') ? -1 : 1))
    .map((event) => [
      event.type ?? '',
      event.reason ?? '',
      `${age(event.lastTimestamp ?? event.eventTime, nowMs)}${(event.count ?? 1) > 1 ? ` (x${event.count} over ${age(event.firstTimestamp, nowMs)})` : ''}`,
      event.source?.component ?? event.reportingComponent ?? '',
      event.message ?? '',
    ])
  const rule = ['----', '------', '----', '----', '-------']
  w.table('Events', ['Type', 'Reason', 'Age', 'From', 'Message'], rows, rule)
}
