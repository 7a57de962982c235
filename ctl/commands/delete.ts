import type { KindDef } from '../../api/kinds/define.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { isNotFound } from '../../api/meta/status.ts'
import { type Context, defineCommand } from '../command.ts'
import { type DryRun, dryRunFlag, readDryRun } from '../dry-run.ts'
import { duration, int, off, text, texts, toggle } from '../flags.ts'
import { listAll, type Query } from '../get-objects.ts'
import { loadManifests } from '../manifests.ts'
import { UserError } from '../output.ts'
import { parseTargets, place, printedName } from '../resources.ts'
import { watchObjects } from '../watch.ts'

interface Doomed {
  readonly kind: KindDef
  readonly name: string
  readonly namespace: string | undefined
}

export const deleteCommand = defineCommand({
  name: 'delete',
  summary: 'Delete resources by file, by name, or by selector',
  args: '([-f FILE] | TYPE [(NAME ... | -l LABEL | --all)] | TYPE/NAME ...)',
  flags: {
    filename: texts({ short: 'f', value: 'file', help: 'The objects of a manifest, a folder, or - for standard input' }),
    recursive: toggle({ short: 'R', help: 'Folders with all below them' }),
    selector: text({ short: 'l', help: 'Those that match a label selector' }),
    fieldSelector: text({ help: 'Those that match a field selector' }),
    all: toggle({ help: 'All of the type in the namespace' }),
    allNamespaces: toggle({ short: 'A', help: 'In all namespaces' }),
    gracePeriod: int({ help: 'Seconds that pods get to end; 0 with --force ends them at once' }),
    force: toggle({ help: 'Remove the object at once, without waiting for its node' }),
    now: toggle({ help: 'Like --grace-period=1' }),
    cascade: { ...text({ value: 'how', help: 'background, foreground or orphan' }), default: 'background' },
    ignoreNotFound: toggle({ help: 'What does not exist is no failure' }),
    wait: off({ help: 'Do not wait until it is gone' }),
    timeout: duration({ help: 'How long to wait', default: 0 }),
    dryRun: dryRunFlag('client'),
    output: text({ short: 'o', help: 'name: print only the name' }),
  },
  examples: ['ctl delete -f app.yaml', 'ctl delete pod web-1', 'ctl delete pods -l app=web'],
  async run({ args, flags }, context) {
    const connection = context.connect()
    const query: Query = {
      client: connection.client,
      signal: context.signal,
      namespace: flags.allNamespaces ? undefined : connection.namespace,
      labelSelector: flags.selector,
      fieldSelector: flags.fieldSelector,
    }
    const doomed = await select(args, flags, query, context)
    if (doomed.length === 0) context.out.note('No resources found')
    const how = howOf(flags)
    const results: (Started | undefined)[] = []
    for (const one of doomed)
      results.push(
        await deleteOne(
          one,
          { ...how, printName: flags.output === 'name', force: flags.force, isQuiet: flags.ignoreNotFound },
          context,
        ),
      )
    const started = results.filter((result) => result !== undefined)
    const missing = flags.ignoreNotFound ? 0 : results.length - started.length
    if (flags.wait && !how.dryRun.isOn) for (const { one, uid } of started) await waitUntilGone(one, uid, flags.timeout, context)
    return missing === 0 ? 0 : 1
  },
})

interface Started {
  readonly one: Doomed
  readonly uid: string
}

interface How {
  readonly policy: 'Background' | 'Foreground' | 'Orphan'
  readonly grace: number | undefined
  readonly dryRun: DryRun
}

const policies: Readonly<Record<string, How['policy']>> = { background: 'Background', foreground: 'Foreground', orphan: 'Orphan' }

interface HowFlags {
  readonly cascade: string | undefined
  readonly gracePeriod: number | undefined
  readonly force: boolean
  readonly now: boolean
  readonly dryRun: string | undefined
}

function howOf({ cascade, gracePeriod, force, now, dryRun }: HowFlags): How {
  const policy = policies[cascade ?? '']
  if (policy === undefined)
    throw new UserError(`error: invalid cascade value "${cascade}": must be background, foreground, or orphan`)
  if (gracePeriod === 0 && !force) throw new UserError('error: --grace-period=0 needs --force')
  return { policy, grace: force ? 0 : now ? 1 : gracePeriod, dryRun: readDryRun(dryRun) }
}

const said = ({ kind, name }: Doomed, force: boolean, dryRun: DryRun): string =>
  `${kind.singular}${kind.group === '' ? '' : `.${kind.group}`} "${name}" ${force ? 'force ' : ''}deleted${dryRun.note}`

interface Selection {
  readonly filename: readonly string[]
  readonly recursive: boolean
  readonly selector: string | undefined
  readonly fieldSelector: string | undefined
  readonly all: boolean
}

async function select(args: readonly string[], flags: Selection, query: Query, context: Context): Promise<readonly Doomed[]> {
  if (flags.filename.length > 0) {
    const manifests = await loadManifests(flags.filename, { recursive: flags.recursive, stdin: context.stdin })
    const place = (namespace: string | undefined, kind: KindDef) =>
      kind.scope === 'Namespaced' ? (namespace ?? query.namespace ?? 'default') : undefined
    const all = manifests.map(({ kind, object }) => ({
      kind,
      name: object.metadata.name ?? '',
      namespace: place(object.metadata.namespace, kind),
    }))
    return all.reverse() // What was made last goes first; namespaces, usually first, go last.
  }
  if (args.length === 0) throw new UserError(nothingNamed)
  const doomed: Doomed[] = []
  for (const { kind, name } of parseTargets(args)) {
    if (name !== undefined) doomed.push({ kind, name, ...{ namespace: place(kind, query.namespace ?? 'default').namespace } })
    else if (!flags.all && flags.selector === undefined && flags.fieldSelector === undefined)
      throw new UserError('error: resource(s) were provided, but no name was specified; use --all or a selector to delete many')
    else doomed.push(...(await listAll(kind, query)).items.map((object) => doomedOf(kind, object)))
  }
  return doomed
}

const nothingNamed = `error: You must provide one or more resources by argument or filename.
Example resource specifications include:
   '-f rsrc.yaml'
   '--filename=rsrc.json'
   '<resource> <name>'
   '<resource>'`

const doomedOf = (kind: KindDef, { metadata }: ApiObject): Doomed => ({
  kind,
  name: metadata.name ?? '',
  namespace: metadata.namespace,
})

/** Asks for it and says so. undefined: it does not exist. */
async function deleteOne(
  one: Doomed,
  how: How & { readonly printName: boolean; readonly force: boolean; readonly isQuiet: boolean },
  { connect, signal, out }: Context,
): Promise<Started | undefined> {
  const { client } = connect()
  const { kind, name, namespace } = one
  const ref = { ...(namespace === undefined ? {} : { namespace }), name }
  try {
    const object = await client.get(kind, ref, { signal })
    await client.delete(kind, ref, {
      signal,
      propagationPolicy: how.policy,
      dryRun: how.dryRun.isOn,
      onWarning: (warning) => out.note(`Warning: ${warning}`),
      ...(how.grace === undefined ? {} : { gracePeriodSeconds: how.grace }),
    })
    out.line(how.printName ? printedName(kind, name) : said(one, how.force, how.dryRun))
    return { one, uid: object.metadata.uid ?? '' }
  } catch (err) {
    if (!isNotFound(err)) throw err
    if (!how.isQuiet) out.note(`Error from server (NotFound): ${err instanceof Error ? err.message : ''}`)
    return undefined
  }
}

/** Gone means: not there, or another object of that name by now. */
async function waitUntilGone({ kind, name, namespace }: Doomed, uid: string, timeoutMs: number, context: Context): Promise<void> {
  const { client } = context.connect()
  const own = new AbortController()
  const stop = (): void => own.abort(context.signal.reason)
  context.signal.addEventListener('abort', stop, { once: true })
  const timer = timeoutMs > 0 ? context.clock.after(timeoutMs, () => own.abort(new Error('timed out'))) : undefined
  try {
    const query: Query = {
      client,
      signal: own.signal,
      namespace,
      labelSelector: undefined,
      fieldSelector: `metadata.name=${name}`,
    }
    const { items, resourceVersion } = await listAll(kind, query)
    if (!items.some(({ metadata }) => metadata.uid === uid)) return
    const isGone = await watchObjects(kind, { ...query, resourceVersion }, (events) =>
      events.some(({ type, object }) => object.metadata.uid !== uid || type === 'DELETED') ? true : undefined,
    )
    if (isGone === undefined && !context.signal.aborted)
      throw new UserError(`error: timed out waiting for ${printedName(kind, name)} to be gone; it is still being deleted`)
  } finally {
    timer?.[Symbol.dispose]()
    context.signal.removeEventListener('abort', stop)
  }
}
