import type { KindDef } from '../../api/kinds/define.ts'
import { type Context, defineCommand } from '../command.ts'
import { int, text } from '../flags.ts'
import { listAll } from '../get-objects.ts'
import { UserError } from '../output.ts'
import { parseTargets, place, printedName } from '../resources.ts'

export const scale = defineCommand({
  name: 'scale',
  summary: 'Set the number of replicas of a deployment or replica set',
  args: '(TYPE NAME | TYPE/NAME ...)',
  flags: {
    replicas: int({ help: 'Wanted number of replicas' }),
    currentReplicas: int({ help: 'Only if this many are wanted now' }),
    selector: text({ short: 'l', help: 'Those that match a label selector' }),
  },
  examples: ['ctl scale deployment/web --replicas=5'],
  async run({ args, flags }, context) {
    const { replicas, currentReplicas } = flags
    if (replicas === undefined || replicas < 0)
      throw new UserError('error: the --replicas=COUNT flag is required, and COUNT must be 0 or more')
    for (const { kind, name } of parseTargets(args)) {
      if (!kind.subresources.includes('scale')) throw new UserError(`error: ${kind.plural} cannot be scaled`)
      const names = name === undefined ? await allNames(kind, flags.selector, context) : [name]
      for (const one of names) await scaleOne(kind, one, { replicas, currentReplicas }, context)
    }
    return 0
  },
})

async function allNames(
  kind: KindDef,
  labelSelector: string | undefined,
  { connect, signal }: Context,
): Promise<readonly string[]> {
  const { client, namespace } = connect()
  const { items } = await listAll(kind, { client, signal, namespace, labelSelector, fieldSelector: undefined })
  return items.map(({ metadata }) => metadata.name ?? '')
}

interface Wanted {
  readonly replicas: number
  readonly currentReplicas: number | undefined
}

async function scaleOne(
  kind: KindDef,
  name: string,
  { replicas, currentReplicas }: Wanted,
  { connect, out, signal }: Context,
): Promise<void> {
  const { client, namespace } = connect()
  const ref = { ...place(kind, namespace), name }
  if (currentReplicas !== undefined) {
    const now = kind.strategy.scale?.getReplicas(await client.get(kind, ref, { signal }))
    if (now !== currentReplicas) throw new UserError(`error: Expected replicas to be ${currentReplicas}, was ${now}`)
  }
  await client.patch(kind, ref, { type: 'merge', body: { spec: { replicas } } }, { signal, subresource: 'scale' })
  out.line(`${printedName(kind, name)} scaled`)
}
