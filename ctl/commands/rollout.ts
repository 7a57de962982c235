import { Deployment } from '../../api/kinds/deployment.ts'
import { ReplicaSet } from '../../api/kinds/replica-set.ts'
import { controllerOf } from '../../api/meta/object-meta.ts'
import { formatLabelSelector } from '../../api/meta/selector.ts'
import { formatTime } from '../../lib/clock.ts'
import { type Context, defineCommand } from '../command.ts'
import { DescribeWriter } from '../describe/writer.ts'
import { duration, int, off } from '../flags.ts'
import { listAll } from '../get-objects.ts'
import { UserError } from '../output.ts'
import { oneTarget, printedName } from '../resources.ts'
import { waitForOutcome } from '../wait-outcome.ts'

const revisionKey = 'deployment.kubernetes.io/revision'
const causeKey = 'kubernetes.io/change-cause'
const templateHash = 'pod-template-hash'
const args = '(deployment NAME | deployment/NAME)'

/** The deployment that a rollout command is about. */
async function find(targets: readonly string[], { connect, signal }: Context): Promise<Deployment> {
  const { kind, name } = oneTarget(targets)
  if (kind.kind !== 'Deployment') throw new UserError(`error: rollouts of ${kind.plural} do not exist; only deployments roll out`)
  const { client, namespace } = connect()
  return await client.get(Deployment, { namespace, name }, { signal })
}

export const rolloutStatus = defineCommand({
  name: 'rollout status',
  summary: 'Follow a rollout to its end',
  args,
  flags: {
    watch: off({ help: 'Only say how it is now' }),
    timeout: duration({ help: 'How long to wait', default: 10 * 60_000 }),
  },
  async run(input, context) {
    const { metadata } = await find(input.args, context)
    const { namespace = 'default', name = '' } = metadata
    const isDone = await waitForOutcome(
      { kind: Deployment, namespace, name, timeoutMs: input.flags.timeout, once: !input.flags.watch },
      context,
    )
    return isDone ? 0 : 1
  },
})

/** The replica sets of a deployment by revision, oldest first. */
async function revisions(
  deployment: Deployment,
  { connect, signal }: Context,
): Promise<readonly { revision: number; replicaSet: ReplicaSet }[]> {
  const { client, namespace } = connect()
  const labelSelector = formatLabelSelector(deployment.spec.selector)
  const { items } = await listAll(ReplicaSet, { client, signal, namespace, labelSelector, fieldSelector: undefined })
  return (items as readonly ReplicaSet[])
    .filter((one) => controllerOf(one)?.uid === deployment.metadata.uid)
    .map((replicaSet) => ({ revision: Number(replicaSet.metadata.annotations?.[revisionKey] ?? 0), replicaSet }))
    .sort((a, b) => a.revision - b.revision)
}

export const rolloutHistory = defineCommand({
  name: 'rollout history',
  summary: 'List the revisions of a deployment, or show one',
  args,
  flags: { revision: int({ help: 'Show the pod template of this revision' }) },
  async run(input, context) {
    const deployment = await find(input.args, context)
    const all = await revisions(deployment, context)
    const { out } = context
    const { revision } = input.flags
    const name = printedName(Deployment, deployment.metadata.name ?? '')
    if (revision === undefined) {
      out.line(`${name} `)
      const rows = all.map(({ revision: number, replicaSet }) => [
        String(number),
        replicaSet.metadata.annotations?.[causeKey] ?? '<none>',
      ])
      const table = new DescribeWriter()
      for (const row of [['REVISION', 'CHANGE-CAUSE'], ...rows]) table.line(row.join('\t'))
      out.line(table.toString())
      return 0
    }
    const found = all.find((one) => one.revision === revision)?.replicaSet
    if (found === undefined) throw new UserError(`error: unable to find the specified revision ${revision}`)
    out.line(`${name} with revision #${revision}`)
    out.line('Pod Template:')
    const { labels = {} } = found.spec.template?.metadata ?? {}
    for (const [key, value] of Object.entries(labels)) out.line(`  ${key}=${value}`)
    for (const container of found.spec.template?.spec?.containers ?? []) {
      out.line(`  ${container.name}:`)
      out.line(`    Image: ${container.image ?? ''}`)
      for (const variable of container.env ?? []) out.line(`    Env: ${variable.name}=${variable.value ?? '(from elsewhere)'}`)
    }
    return 0
  },
})

export const rolloutUndo = defineCommand({
  name: 'rollout undo',
  summary: 'Go back to an earlier revision',
  args,
  flags: { toRevision: int({ help: 'The revision; 0 or nothing is the one before' }) },
  async run(input, context) {
    const deployment = await find(input.args, context)
    if (deployment.spec.paused === true) throw new UserError('error: you cannot rollback a paused deployment; resume it first')
    const all = await revisions(deployment, context)
    const wanted = input.flags.toRevision ?? 0
    const target = wanted === 0 ? all.at(-2) : all.find(({ revision }) => revision === wanted)
    if (target === undefined)
      throw new UserError(
        wanted === 0 ? 'error: no rollout history found' : `error: unable to find specified revision ${wanted} in history`,
      )
    const template = target.replicaSet.spec.template
    const { [templateHash]: _, ...labels } = template?.metadata?.labels ?? {}
    const name = printedName(Deployment, deployment.metadata.name ?? '')
    if (target === all.at(-1)) {
      context.out.line(`${name} skipped rollback (current template already matches revision ${target.revision})`)
      return 0
    }
    const value = { ...template, metadata: { ...template?.metadata, labels } }
    await patch(deployment, [{ op: 'replace', path: '/spec/template', value }], context)
    context.out.line(`${name} rolled back`)
    return 0
  },
})

export const rolloutRestart = defineCommand({
  name: 'rollout restart',
  summary: 'Replace all pods, one after the other',
  args,
  flags: {},
  async run(input, context) {
    const deployment = await find(input.args, context)
    if (deployment.spec.paused === true) throw new UserError("error: can't restart paused deployment (run rollout resume first)")
    const { client, namespace } = context.connect()
    const annotations = { 'kubectl.kubernetes.io/restartedAt': formatTime(context.clock.now()) }
    const body = { spec: { template: { metadata: { annotations } } } }
    await client.patch(
      Deployment,
      { namespace, name: deployment.metadata.name ?? '' },
      { type: 'merge', body },
      { signal: context.signal },
    )
    context.out.line(`${printedName(Deployment, deployment.metadata.name ?? '')} restarted`)
    return 0
  },
})

function switchPaused(verb: 'pause' | 'resume', summary: string) {
  return defineCommand({
    name: `rollout ${verb}`,
    summary,
    args,
    flags: {},
    async run(input, context) {
      const deployment = await find(input.args, context)
      const wanted = verb === 'pause'
      const name = printedName(Deployment, deployment.metadata.name ?? '')
      if ((deployment.spec.paused === true) === wanted)
        throw new UserError(`error: deployments.apps "${deployment.metadata.name}" is ${wanted ? 'already' : 'not'} paused`)
      await patch(deployment, [{ op: 'add', path: '/spec/paused', value: wanted }], context)
      context.out.line(`${name} ${verb}d`)
      return 0
    },
  })
}
export const rolloutPause = switchPaused('pause', 'Stop a rollout where it is')
export const rolloutResume = switchPaused('resume', 'Go on with a paused rollout')

async function patch(deployment: Deployment, body: unknown, { connect, signal }: Context): Promise<void> {
  const { client, namespace } = connect()
  await client.patch(Deployment, { namespace, name: deployment.metadata.name ?? '' }, { type: 'json', body }, { signal })
}
