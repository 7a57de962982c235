import { stringify } from 'yaml'
import { age } from '../../api/kinds/columns.ts'
import type { ConfigMap } from '../../api/kinds/config-map.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import type { Deployment } from '../../api/kinds/deployment.ts'
import { EndpointSlice } from '../../api/kinds/endpoint-slice.ts'
import { Event } from '../../api/kinds/event.ts'
import type { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import type { Secret } from '../../api/kinds/secret.ts'
import type { Service } from '../../api/kinds/service.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { type Context, defineCommand } from '../command.ts'
import { describeConfigMap, describeDeployment, describeNode, describeSecret, describeService } from '../describe/others.ts'
import { describePod } from '../describe/pod.ts'
import { DescribeWriter } from '../describe/writer.ts'
import { text, toggle } from '../flags.ts'
import { getTarget, listAll, type Query } from '../get-objects.ts'
import { alignRows } from '../printers/table.ts'
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
    if (count === 0) context.out.note(`No resources found in ${namespace} namespace.`)
    return 0
  },
})

async function describeObject(kind: KindDef, object: ApiObject, query: Query, context: Context): Promise<string> {
  const w = new DescribeWriter()
  const { metadata } = object
  w.field('Name', metadata.name)
  if (kind.scope === 'Namespaced') w.field('Namespace', metadata.namespace)
  w.map('Labels', metadata.labels)
  const { 'kubectl.kubernetes.io/last-applied-configuration': _, ...annotations } = metadata.annotations ?? {}
  w.map('Annotations', annotations)
  await describeBody(kind, object, query, w)
  await describeEvents(object, query, w, context.clock.now())
  return w.toString()
}

async function describeBody(kind: KindDef, object: ApiObject, query: Query, w: DescribeWriter): Promise<void> {
  const all = { ...query, labelSelector: undefined }
  switch (kind.kind) {
    case 'Pod':
      return describePod(object as Pod, w)
    case 'Deployment':
      return describeDeployment(object as Deployment, w)
    case 'ConfigMap':
      return describeConfigMap(object as ConfigMap, w)
    case 'Secret':
      return describeSecret(object as Secret, w)
    case 'Node': {
      const pods = await listAll(Pod, { ...all, namespace: undefined, fieldSelector: `spec.nodeName=${object.metadata.name}` })
      return describeNode(object as Node, pods.items as readonly Pod[], w)
    }
    case 'Service': {
      const labelSelector = `kubernetes.io/service-name=${object.metadata.name}`
      const slices = await listAll(EndpointSlice, { ...all, namespace: object.metadata.namespace, labelSelector })
      return describeService(object as Service, (slices.items as readonly EndpointSlice[]).flatMap(addresses), w)
    }
    default:
      describeOther(object, w)
  }
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
  w.section('Events', () => {
    for (const line of alignRows([['Type', 'Reason', 'Age', 'From', 'Message'], ...rows])) w.line(line)
  })
}
