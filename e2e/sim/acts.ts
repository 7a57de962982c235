import { ConfigMap } from '../../api/kinds/config-map.ts'
import { Deployment } from '../../api/kinds/deployment.ts'
import { Namespace } from '../../api/kinds/namespace.ts'
import { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { ReplicaSet } from '../../api/kinds/replica-set.ts'
import { Secret } from '../../api/kinds/secret.ts'
import { Service } from '../../api/kinds/service.ts'
import { controllerOf } from '../../api/meta/object-meta.ts'
import { isAlreadyExists, isNotFound } from '../../api/meta/status.ts'
import type { Client, Ref } from '../../client/client.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { barePod, deployment, holdFinalizer } from './manifests.ts'
import type { Act, OperatorAct } from './workload.ts'

type UserAct = Exclude<Act, OperatorAct>
type Doing<D extends UserAct['do']> = Extract<UserAct, { readonly do: D }>
type Carrier<D extends UserAct['do']> = (client: Client, act: Doing<D>, opts: AbortOptions) => Promise<void>

/** Carries out acts; done before is fine, so that each can be repeated until it succeeds. */
const carriers: { readonly [D in UserAct['do']]: Carrier<D> } = {
  deploy: (client, { namespace, name, app }, opts) =>
    made(client.create(Deployment, deployment({ namespace, name }, app), opts), () =>
      client.get(Deployment, { namespace, name }, opts),
    ),
  scale: (client, { replicas, ...place }, opts) => patch(client, place, { spec: { replicas } }, opts),
  roll(client, { image, ...place }, opts) {
    const containers = [{ name: 'main', image }]
    return patch(client, place, { spec: { template: { spec: { containers } } } }, opts)
  },
  async undeploy(client, { namespace, name, policy, hasTakenOver }, opts) {
    if (hasTakenOver === true) await unlessGone(adopted(client, { namespace, name }, opts))
    if (policy === 'Orphan') await unlessGone(begun(client.get(Deployment, { namespace, name }, opts)))
    await unlessGone(client.delete(Deployment, { namespace, name }, { ...opts, propagationPolicy: policy }))
  },
  runPod: (client, what, opts) =>
    made(client.create(Pod, barePod(what), opts), () => client.get(Pod, { namespace: what.namespace, name: what.name }, opts)),
  deletePod(client, { namespace, name, gracePeriodSeconds }, opts) {
    const grace = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }
    return unlessGone(client.delete(Pod, { namespace, name }, { ...opts, ...grace }))
  },
  release(client, { namespace, name }, opts) {
    const body = { metadata: { [`$deleteFromPrimitiveList/finalizers`]: [holdFinalizer] } }
    return unlessGone(client.patch(Pod, { namespace, name }, { type: 'strategic', body }, opts))
  },
  async deleteOneOf(client, { namespace, name, force }, opts) {
    const { items } = await client.list(Pod, { ...opts, namespace, labelSelector: `app=${name}` })
    const victim = items.map(({ metadata }) => metadata.name ?? '').toSorted()[0]
    if (victim === undefined) return
    const grace = force ? { gracePeriodSeconds: 0 } : {}
    await unlessGone(client.delete(Pod, { namespace, name: victim }, { ...opts, ...grace }))
  },
  async markNotReady(client, { namespace, name }, opts) {
    const { items } = await client.list(Pod, { ...opts, namespace, labelSelector: `app=${name}` })
    for (const pod of items) {
      const conditions = (pod.status?.conditions ?? []).map((one) =>
        one.type === 'Ready' ? { ...one, status: 'False' as const, reason: 'NodeNotReady' } : one,
      )
      await client.updateStatus(Pod, { ...pod, status: { ...pod.status, conditions } }, opts)
    }
  },
  setConfig,
  deleteConfig: (client, { kind, namespace, name }, opts) =>
    unlessGone(client.delete(kind === 'Secret' ? Secret : ConfigMap, { namespace, name }, opts)),
  expose(client, { namespace, name }, opts) {
    return unlessThere(client.create(Service, service({ namespace, name }, { app: name }), opts))
  },
  unexpose: (client, { namespace, name }, opts) => unlessGone(client.delete(Service, { namespace, name }, opts)),
  makeNamespace: (client, { namespace: name }, opts) =>
    made(client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, opts), () =>
      client.get(Namespace, { name }, opts),
    ),
  deleteNamespace: (client, { namespace: name }, opts) => unlessGone(client.delete(Namespace, { name }, opts)),
  cordon: (client, { node, isOn }, opts) => cordon(client, node, isOn, opts),
  async drain(client, { node }, opts) {
    await cordon(client, node, true, opts)
    const { items } = await client.list(Pod, opts)
    for (const pod of items.filter(({ spec }) => spec.nodeName === node)) {
      const { namespace = '', name = '', uid = '' } = pod.metadata
      if (controllerOf(pod) === undefined) continue
      await unlessGone(client.delete(Pod, { namespace, name }, { ...opts, preconditions: { uid } }))
    }
  },
  deleteNode: (client, { node }, opts) => unlessGone(client.delete(Node, { name: node }, opts)),
}

export async function carryOut(client: Client, act: UserAct, opts: AbortOptions): Promise<void> {
  const carrier = carriers[act.do] as Carrier<UserAct['do']> // The one of its kind.
  await carrier(client, act, opts)
}

/** What every cluster of the simulator has besides: a service over all apps of the namespace `default`. */
export async function createService(client: Client, opts: AbortOptions): Promise<void> {
  await unlessThere(client.create(Service, service({ namespace: 'default', name: 'all' }, { tier: 'apps' }), opts))
}

const service = (metadata: Ref, selector: Readonly<Record<string, string>>): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata,
  spec: { selector, ports: [{ port: 80 }] },
})

async function setConfig(
  client: Client,
  { kind, namespace, name, version }: Doing<'setConfig'>,
  opts: AbortOptions,
): Promise<void> {
  const metadata = { namespace, name }
  const text = `v${version}`
  if (kind === 'Secret') {
    const data = { version: Buffer.from(text).toString('base64') }
    await unlessThere(client.create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata, data }, opts))
    await client.patch(Secret, metadata, { type: 'merge', body: { data } }, opts)
  } else {
    const data = { version: text }
    await unlessThere(client.create(ConfigMap, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data }, opts))
    await client.patch(ConfigMap, metadata, { type: 'merge', body: { data } }, opts)
  }
}

/** A node that was deleted is not there until its agent comes back: the user waits for it, or has no need any more. */
async function cordon(client: Client, name: string, isOn: boolean, opts: AbortOptions): Promise<void> {
  await client.patch(Node, { name }, { type: 'merge', body: { spec: { unschedulable: isOn ? true : null } } }, opts)
}

async function patch(client: Client, { namespace, name }: Ref, body: unknown, opts: AbortOptions): Promise<void> {
  await unlessGone(
    client.patch(Deployment, { ...(namespace === undefined ? {} : { namespace }), name }, { type: 'strategic', body }, opts),
  )
}

/** One of the same name that is just being deleted has to go first. */
async function made(
  creation: Promise<unknown>,
  read: () => Promise<{ readonly metadata: { readonly deletionTimestamp?: string } }>,
): Promise<void> {
  await unlessThere(creation)
  const { metadata } = await read()
  if (metadata.deletionTimestamp !== undefined) throw new Error('the old one of that name is still there')
}

async function unlessThere(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (err) {
    if (!isAlreadyExists(err)) throw err
  }
}

/** Whoever deletes a Deployment before it has a ReplicaSet has none to keep. */
async function begun(deployment: Promise<Deployment>): Promise<void> {
  const { metadata, status } = await deployment
  if (metadata.deletionTimestamp === undefined && status?.observedGeneration === undefined)
    throw new Error('the Deployment has no ReplicaSet yet')
}

/** A Deployment that goes before it has taken over what was left behind leaves that behind once more. */
async function adopted(
  client: Client,
  { namespace, name }: { namespace: string; name: string },
  opts: AbortOptions,
): Promise<void> {
  const { metadata } = await client.get(Deployment, { namespace, name }, opts)
  if (metadata.deletionTimestamp !== undefined) return
  const { items } = await client.list(ReplicaSet, { ...opts, namespace, labelSelector: `app=${name}` })
  if (items.some((set) => controllerOf(set) === undefined)) throw new Error('it has not taken over what was left behind yet')
}

async function unlessGone(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (err) {
    if (!isNotFound(err)) throw err
  }
}
