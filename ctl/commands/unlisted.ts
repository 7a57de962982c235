import {
  dismissedAnnotation,
  parseDismissed,
  parseUnlisted,
  type UnlistedPod,
  unlistedCondition,
} from '../../api/derive/unlisted-pods.ts'
import { Node } from '../../api/kinds/node.ts'
import { isConflict } from '../../api/meta/status.ts'
import { sleep } from '../../lib/async.ts'
import { type Context, defineCommand } from '../command.ts'
import { duration, toggle } from '../flags.ts'
import { listAll } from '../get-objects.ts'
import { UserError } from '../output.ts'
import { alignRows } from '../printers/table.ts'

export const unlisted = defineCommand({
  name: 'unlisted',
  summary: 'Show pods that run on nodes and are unknown to the API, as after a restore of etcd',
  flags: {},
  async run(_, context) {
    const found = await findUnlisted(context)
    if (found.length === 0) context.out.note('No unlisted pods found.')
    else print(found, context)
    return 0
  },
})

export const unlistedRemove = defineCommand({
  name: 'unlisted remove',
  summary: 'Remove pods from their nodes that are unknown to the API',
  args: '(NAMESPACE/NAME | UID ...)',
  flags: {
    all: toggle({ help: 'All that "ctl unlisted" shows' }),
    timeout: duration({ help: 'How long to wait until they are gone', default: 120_000 }),
  },
  examples: ['ctl unlisted remove default/web-1', 'ctl unlisted remove --all'],
  async run({ args, flags }, context) {
    if (flags.all === args.length > 0) throw new UserError('error: name the pods (NAMESPACE/NAME or UID), or give --all')
    const found = await findUnlisted(context)
    const chosen = choose(found, args)
    if (chosen.length === 0) context.out.note('No unlisted pods found.')
    for (const [node, pods] of Map.groupBy(chosen, (one) => one.node)) await dismiss(node, { pods, found }, context)
    return await untilGone(chosen, flags.timeout, context)
  },
})

const conflictTries = 5

interface Found extends UnlistedPod {
  readonly node: string
}

const listNodes = async ({ connect, signal }: Context): Promise<readonly Node[]> => {
  const all = { client: connect().client, signal, namespace: undefined, labelSelector: undefined, fieldSelector: undefined }
  return (await listAll(Node, all)).items as readonly Node[]
}

async function findUnlisted(context: Context): Promise<readonly Found[]> {
  return (await listNodes(context)).flatMap(({ metadata: { name: node = '' }, status }) => {
    const message = status?.conditions?.find(({ type }) => type === unlistedCondition)?.message ?? ''
    return parseUnlisted(message).map((pod) => ({ ...pod, node }))
  })
}

function print(found: readonly Found[], { out }: Context): void {
  const rows = found.map(({ node, namespace, name, uid }) => [node, namespace, name, uid])
  for (const line of alignRows([['NODE', 'NAMESPACE', 'NAME', 'UID'], ...rows])) out.line(line)
}

/** Without arguments all of them. */
function choose(found: readonly Found[], args: readonly string[]): readonly Found[] {
  const isMeant = (pod: Found, arg: string): boolean => arg === pod.uid || arg === `${pod.namespace}/${pod.name}`
  const missing = args.find((arg) => !found.some((pod) => isMeant(pod, arg)))
  if (missing !== undefined)
    throw new UserError(`error: no unlisted pod "${missing}" (NAMESPACE/NAME or UID, as "ctl unlisted" shows them)`)
  return args.length === 0 ? found : found.filter((pod) => args.some((arg) => isMeant(pod, arg)))
}

interface Dismissal {
  readonly pods: readonly Found[]
  /** All that there are. */
  readonly found: readonly Found[]
}

/** Those that are still to go from before stay named. */
async function dismiss(node: string, { pods, found }: Dismissal, context: Context): Promise<void> {
  const { client } = context.connect()
  const { signal } = context
  const there = new Set(found.filter((one) => one.node === node).map(({ uid }) => uid))
  for (let attempt = 1; ; attempt++) {
    const { metadata } = await client.get(Node, { name: node }, { signal })
    const before = [...parseDismissed(metadata.annotations?.[dismissedAnnotation])].filter((uid) => there.has(uid))
    const value = [...new Set([...before, ...pods.map(({ uid }) => uid)])].join(',')
    const body = { metadata: { resourceVersion: metadata.resourceVersion, annotations: { [dismissedAnnotation]: value } } }
    try {
      await client.patch(Node, { name: node }, { type: 'merge', body }, { signal })
      return
    } catch (err) {
      // The node tells how it is all the time.
      if (!isConflict(err) || attempt === conflictTries) throw err
    }
  }
}

async function untilGone(chosen: readonly Found[], timeoutMs: number, context: Context): Promise<number> {
  const { clock, signal, out } = context
  const untilMs = clock.monotonicMs() + timeoutMs
  let left = chosen
  for (;;) {
    const there = new Set((await findUnlisted(context)).map(({ uid }) => uid))
    for (const { namespace, name, node } of left.filter(({ uid }) => !there.has(uid)))
      out.line(`pod "${namespace}/${name}" is gone from node "${node}"`)
    left = left.filter(({ uid }) => there.has(uid))
    if (left.length === 0) return 0
    if (clock.monotonicMs() > untilMs) break
    await sleep(clock, 1000, signal)
  }
  for (const { namespace, name, node } of left)
    out.note(`error: timed out waiting for pod "${namespace}/${name}" on node "${node}"`)
  return 1
}
