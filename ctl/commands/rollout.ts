import { Deployment } from '../../api/kinds/deployment.ts'
import { ReplicaSet } from '../../api/kinds/replica-set.ts'
import { controllerOf } from '../../api/meta/object-meta.ts'
import { formatLabelSelector } from '../../api/meta/selector.ts'
import { formatTime } from '../../lib/clock.ts'
import { type Context, defineCommand } from '../command.ts'
import { describeTemplate } from '../describe/parts.ts'
import { DescribeWriter } from '../describe/writer.ts'
import { duration, int, off } from '../flags.ts'
import { getTarget, listAll } from '../get-objects.ts'
import { UserError } from '../output.ts'
import { parseTargets, printedName } from '../resources.ts'
import { waitForOutcome } from '../wait-outcome.ts'

const revisionKey = 'deployment.kubernetes.io/revision'
const causeKey = 'kubernetes.io/change-cause'
const templateHash = 'pod-template-hash'
const args = '(deployment NAME | deployment/NAME)'

/** The deployments that a rollout command is about: those named, else all of the namespace. */
async function find(targets: readonly string[], context: Context): Promise<readonly Deployment[]> {
  const { client, namespace } = context.connect()
  const query = { client, signal: context.signal, namespace, labelSelector: undefined, fieldSelector: undefined }
  const found: Deployment[] = []
  for (const target of parseTargets(targets)) {
    if (target.kind.kind !== 'Deployment')
      throw new UserError(`error: rollouts of ${target.kind.plural} do not exist; only deployments roll out`)
    found.push(...((await getTarget(target, query)) as readonly Deployment[]))
  }
  if (found.length === 0) context.out.note(`No resources found in ${namespace} namespace.`)
  return found
}

/** Does one thing to each; the first failure ends it. */
async function forEach(
  targets: readonly string[],
  context: Context,
  act: (deployment: Deployment) => Promise<number>,
): Promise<number> {
  let code = 0
  for (const deployment of await find(targets, context)) code = Math.max(code, await act(deployment))
  return code
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
    return await forEach(input.args, context, async ({ metadata: { namespace = 'default', name = '' } }) => {
      const { timeout: timeoutMs, watch } = input.flags
      return (await waitForOutcome({ kind: Deployment, namespace, name, timeoutMs, once: !watch }, context)) ? 0 : 1
    })
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
    return await forEach(input.args, context, (deployment) => showHistory(deployment, input.flags.revision, context))
  },
})

async function showHistory(deployment: Deployment, revision: number | undefined, context: Context): Promise<number> {
  const all = await revisions(deployment, context)
  const name = printedName(Deployment, deployment.metadata.name ?? '')
  const w = new DescribeWriter()
  if (revision === undefined) {
    w.line(`${name} `)
    w.line('REVISION\tCHANGE-CAUSE')
    for (const { revision: number, replicaSet } of all)
      w.line(`${number}\t${replicaSet.metadata.annotations?.[causeKey] ?? '<none>'}`)
    w.line('')
  } else {
    const found = all.find((one) => one.revision === revision)?.replicaSet
    if (found === undefined) throw new UserError('error: unable to find the specified revision')
    w.line(`${name} with revision #${revision}`)
    describeTemplate(found.spec.template, w)
    w.line('')
  }
  context.out.write(w.toString())
  return 0
}

export const rolloutUndo = defineCommand({
  name: 'rollout undo',
  summary: 'Go back to an earlier revision',
  args,
  flags: { toRevision: int({ help: 'The revision; 0 or nothing is the one before' }) },
  run: (input, context) =>
    forEach(input.args, context, async (deployment) => {
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
    }),
})

export const rolloutRestart = defineCommand({
  name: 'rollout restart',
  summary: 'Replace all pods, one after the other',
  args,
  flags: {},
  run: (input, context) =>
    forEach(input.args, context, async (deployment) => {
      if (deployment.spec.paused === true)
        throw new UserError("error: can't restart paused deployment (run rollout resume first)")
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
    }),
})

function switchPaused(verb: 'pause' | 'resume', summary: string) {
  return defineCommand({
    name: `rollout ${verb}`,
    summary,
    args,
    flags: {},
    run: (input, context) =>
      forEach(input.args, context, async (deployment) => {
        const wanted = verb === 'pause'
        const name = printedName(Deployment, deployment.metadata.name ?? '')
        if ((deployment.spec.paused === true) === wanted)
          throw new UserError(`error: deployments.apps "${deployment.metadata.name}" is ${wanted ? 'already' : 'not'} paused`)
        await patch(deployment, [{ op: 'add', path: '/spec/paused', value: wanted }], context)
        context.out.line(`${name} ${verb}d`)
        return 0
      }),
  })
}
export const rolloutPause = switchPaused('pause', 'Stop a rollout where it is')
export const rolloutResume = switchPaused('resume', 'Go on with a paused rollout')

async function patch(deployment: Deployment, body: unknown, { connect, signal }: Context): Promise<void> {
  const { client, namespace } = connect()
  await client.patch(Deployment, { namespace, name: deployment.metadata.name ?? '' }, { type: 'json', body }, { signal })
}
