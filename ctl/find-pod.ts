import { Deployment } from '../api/kinds/deployment.ts'
import { Pod } from '../api/kinds/pod.ts'
import { ReplicaSet } from '../api/kinds/replica-set.ts'
import { formatLabelSelector } from '../api/meta/selector.ts'
import type { Context } from './command.ts'
import { listAll } from './get-objects.ts'
import { UserError } from './output.ts'
import { findKind, printedName } from './resources.ts'

/** The pods of `POD`, `pod/NAME`, `deployment/NAME` or `replicaset/NAME`, the likeliest to run first. */
export async function podsOf(target: string, { connect, signal }: Context): Promise<readonly [Pod, ...Pod[]]> {
  const { client, namespace } = connect()
  const [type = '', name = ''] = target.includes('/') ? target.split('/') : ['pod', target]
  const kind = findKind(type)
  const ref = { namespace, name }
  if (kind.kind === 'Pod') return [await client.get(Pod, ref, { signal })]
  if (kind.kind !== 'Deployment' && kind.kind !== 'ReplicaSet')
    throw new UserError(`error: cannot attach to ${kind.plural}: only pods, deployments and replica sets have pods`)
  const isDeployment = kind.kind === 'Deployment'
  const { spec } = isDeployment ? await client.get(Deployment, ref, { signal }) : await client.get(ReplicaSet, ref, { signal })
  const labelSelector = formatLabelSelector(spec.selector)
  const { items } = await listAll(Pod, { client, signal, namespace, labelSelector, fieldSelector: undefined })
  const [first, ...others] = (items as readonly Pod[]).toSorted((a, b) => rank(a) - rank(b))
  if (first === undefined) throw new UserError(`error: ${printedName(kind, name)} has no pods`)
  return [first, ...others]
}

const rank = (pod: Pod): number => (pod.status?.phase === 'Running' ? 0 : pod.status?.phase === 'Pending' ? 2 : 1)
